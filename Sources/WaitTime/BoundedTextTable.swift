import Metrics
import Model

/// Numbers foreign texts from 1 on, in the order in which they first come, up to a bound. What finds no room has the number 0,
/// which stands for `_other`. A look-up of a known text allocates nothing.
struct BoundedTextTable {
    /// The number of the texts that find no room.
    static let other = 0
    /// The text that stands for them. A text that reads so gets no other number, or its series would come twice.
    static let otherText = ForeignText("_other")

    /// Open addressing; 0 = free, else the text's number. A power of two, at most half full.
    private var slots = [Int32](repeating: 0, count: 64)
    private let hash = KeyedHash()
    /// By number.
    private(set) var texts = [otherText]
    /// What they are on the page; made once, when a text is new.
    private(set) var labels = [LabelText(otherText)]
    /// The labels that end with the mark of a cut one: each stands for one text.
    private var cutLabels: Set<[UInt8]> = []
    /// Numbers of texts that were taken out, for the next new ones.
    private var free: [Int] = []
    /// A smaller one takes no number away.
    var limit: Int
    /// What becomes of a text that is longer than a label.
    private let longTexts: LongTexts
    /// Texts that found no room, counted each time one comes.
    private(set) var refusals: UInt64 = 0
    /// Texts that were cut, counted once each.
    private(set) var cuts: UInt64 = 0

    enum LongTexts {
        /// Those that begin alike have one number.
        case areCut
        case findNoRoom
    }

    init(limit: Int, longTexts: LongTexts = .areCut) {
        self.limit = limit
        self.longTexts = longTexts
    }

    func isTaken(_ number: Int) -> Bool { number < texts.count && !texts[number].bytes.isEmpty }

    /// The number of a text that has one of its own.
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

    /// The number of the text; 0 when it is new and there is no room.
    mutating func number(of text: UnsafeRawBufferPointer, hasRoom: Bool = true) -> Int {
        if let known = find(text) { return known }
        let isOther = text.elementsEqual(Self.otherText.bytes)
        let isTooLong = longTexts == .findNoRoom && text.count > LabelText.maxBytes
        guard hasRoom, !text.isEmpty, !isTooLong, !isOther, texts.count - 1 - free.count < limit,
            let number = add(LabelText.cutName(text))
        else {
            refusals += 1
            return Self.other
        }
        if labels[number].isCut || text.count > LabelText.maxBytes { cuts += 1 }
        return number
    }

    /// nil where another text has the same label already: a series may come once only.
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

    /// Takes texts out; others may get their numbers. Costs as much as the table is large.
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

    /// Seeded per process, so that no sender can choose texts that collide.
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
