import Metrics
import Model

/// Numbers foreign texts from 1 on, in the order in which they first come, up to a bound. Texts beyond it have the
/// number 0, which stands for `_other`. A look-up of a known text allocates nothing.
struct BoundedTextTable {
    /// The number of the texts beyond the bound.
    static let other = 0
    /// The text that stands for them. A text that reads so gets no number of its own, or its series would come twice.
    static let otherText = ForeignText("_other")

    /// The slots of open addressing; 0 = free, else the text's number. Their number is a power of two; at most half are
    /// taken.
    private var slots = [Int32](repeating: 0, count: 64)
    private let hash = KeyedHash()
    /// The texts by number.
    private(set) var texts = [otherText]
    /// Their labels on the page; made once, when a text is new.
    private(set) var labels = [LabelText(otherText)]
    /// The labels that end with the mark of a cut one: each stands for one text.
    private var cutLabels: Set<[UInt8]> = []
    /// The numbers of texts that were removed, for the next new ones.
    private var free: [Int] = []
    /// The bound. A smaller one takes no number away.
    var limit: Int
    /// The treatment of a text that is longer than a label.
    private let longTexts: LongTexts
    /// The number of times that a text beyond the bound came.
    private(set) var refusals: UInt64 = 0
    /// The number of texts that were cut, once each.
    private(set) var cuts: UInt64 = 0

    enum LongTexts {
        /// Texts that begin alike have one number.
        case areCut
        case findNoSpace
    }

    init(limit: Int, longTexts: LongTexts = .areCut) {
        self.limit = limit
        self.longTexts = longTexts
    }

    func isTaken(_ number: Int) -> Bool { number < texts.count && !texts[number].bytes.isEmpty }

    /// Returns the number of a text that has one of its own.
    func find(_ text: UnsafeRawBufferPointer) -> Int? {
        if text.count <= LabelText.maxBytes { return findWhole(text) }
        return LabelText.cutName(text).bytes.withUnsafeBytes { findWhole($0) }
    }

    private func findWhole(_ text: UnsafeRawBufferPointer) -> Int? {
        var slot = self.slot(of: text)
        while slots[slot] != 0 {
            let number = Int(slots[slot])
            if texts[number].bytes.count == text.count
                && texts[number].bytes.withUnsafeBytes({ $0.hasSameBytes(as: text) })
            {
                return number
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// Returns the number of the text; 0 when it is new and does not fit.
    mutating func number(of text: UnsafeRawBufferPointer, hasSpace: Bool = true) -> Int {
        if let known = find(text) { return known }
        let isOther = text.elementsEqual(Self.otherText.bytes)
        let isTooLong = longTexts == .findNoSpace && text.count > LabelText.maxBytes
        guard hasSpace, !text.isEmpty, !isTooLong, !isOther, texts.count - 1 - free.count < limit,
            let number = add(LabelText.cutName(text))
        else {
            refusals += 1
            return Self.other
        }
        if labels[number].isCut || text.count > LabelText.maxBytes { cuts += 1 }
        return number
    }

    /// Adds a text; returns nil where another one has the same label already: a series may come once only.
    private mutating func add(_ text: ForeignText) -> Int? {
        let label = LabelText(text)
        let looksCut = label.escaped.suffix(LabelText.mark.count).elementsEqual(LabelText.mark)
        if looksCut && !cutLabels.insert(label.escaped).inserted { return nil }
        let number = free.popLast() ?? texts.count
        if number == texts.count {
            texts.append(text)
            labels.append(label)
        } else {
            texts[number] = text
            labels[number] = label
        }
        fill(with: number)
        if texts.count * 2 > slots.count { refill(count: slots.count * 2) }
        return number
    }

    /// Removes texts; others may get their numbers. The cost grows with the size of the table.
    mutating func remove(_ numbers: [Int]) {
        if numbers.isEmpty { return }
        for number in numbers {
            cutLabels.remove(labels[number].escaped)
            texts[number] = ForeignText([])
            labels[number] = LabelText(texts[number])
        }
        free += numbers
        refill(count: slots.count)
    }

    /// Returns the slot of a text. The hash is seeded per process, so that no sender can choose texts that collide.
    private func slot(of text: UnsafeRawBufferPointer) -> Int {
        Int(truncatingIfNeeded: hash(text) >> 32) & (slots.count - 1)
    }

    private mutating func fill(with number: Int) {
        var slot = texts[number].bytes.withUnsafeBytes { self.slot(of: $0) }
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(number)
    }

    private mutating func refill(count: Int) {
        slots = [Int32](repeating: 0, count: count)
        for number in texts.indices.dropFirst() where isTaken(number) { fill(with: number) }
    }
}
