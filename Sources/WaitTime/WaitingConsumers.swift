import Model

/// The process spans that wait for their producers, in the order in which they came. The tables are flat: nothing is
/// allocated for one, and each leaves in constant time from wherever it stands.
///
/// ```
/// consumers    96 bytes each, in a list from the oldest to the newest
/// mentions     40 bytes each: a consumer is named under its parent and each of its links, once for the same span.
///              Those of one consumer are a list; those of one span are another, the newest first
/// slots        where the first mention of a span lies (`SlotTable`)
/// ```
struct WaitingConsumers: Sendable {
    typealias Consumer = SpanPairing.Consumer

    private struct Entry: SlabItem {
        var consumer: Consumer
        /// A number that rises with each consumer.
        let ticket: UInt64
        var older: UInt32
        var newer: UInt32
        var firstMention: UInt32
        /// True if a producer has come for it.
        var isPaired = false

        var nextFree: UInt32 {
            get { newer }
            set { newer = newValue }
        }
    }

    private struct Mention: SlabItem {
        let reference: SpanReference
        let consumer: UInt32
        /// The neighbours in the list of the same span.
        var before: UInt32
        var after: UInt32
        /// The next mention of the same consumer.
        var sibling: UInt32

        var nextFree: UInt32 {
            get { after }
            set { after = newValue }
        }
    }

    private static let none = Slab<Entry>.none

    private let hash = KeyedHash()
    private var slots = SlotTable()
    private var consumers: Slab<Entry>
    private var mentions: Slab<Mention>
    private let maxMentions: Int
    private var oldestPlace = none
    private var newestPlace = none
    private var nextTicket: UInt64 = 0

    /// Makes the tables. The owner removes the oldest whenever there are more consumers or references than these.
    init(maxConsumers: Int, maxReferences: Int) {
        consumers = Slab(maxCount: maxConsumers + 1)
        maxMentions = maxReferences + TaskSpan.maxLinks + 1
        mentions = Slab(maxCount: maxMentions)
    }

    var count: Int { consumers.count }
    /// The number of spans that are waited for, each counted once for each consumer that names it.
    var references: Int { mentions.count }
    var oldest: Consumer? { oldestPlace == Self.none ? nil : consumers[oldestPlace].consumer }

    var bytes: TableBytes {
        let (consumers, mentions) = (consumers.bytes, mentions.bytes)
        return TableBytes(
            used: consumers.used + mentions.used + slots.bytes,
            limit: consumers.limit + mentions.limit + SlotTable.bytes(entries: maxMentions))
    }

    // MARK: Coming

    /// Adds a consumer that waits for the first one to come of these spans.
    mutating func add(_ consumer: Consumer, parent: SpanReference, link: SpanReference, moreLinks: [SpanReference]) {
        let place = consumers.insert(
            Entry(
                consumer: consumer, ticket: nextTicket, older: newestPlace, newer: Self.none, firstMention: Self.none))
        nextTicket += 1
        if newestPlace == Self.none { oldestPlace = place } else { consumers[newestPlace].newer = place }
        newestPlace = place
        var last = Self.none
        if parent.isValid { mention(parent, by: place, behind: &last) }
        if link.isValid { mention(link, by: place, behind: &last) }
        for link in moreLinks { mention(link, by: place, behind: &last) }
    }

    private mutating func mention(_ reference: SpanReference, by consumer: UInt32, behind last: inout UInt32) {
        var own = consumers[consumer].firstMention
        while own != Self.none {
            if mentions[own].reference == reference { return }
            own = mentions[own].sibling
        }
        let hash = hash(reference)
        let first = first(of: reference, hash)
        let place = mentions.insert(
            Mention(reference: reference, consumer: consumer, before: Self.none, after: first, sibling: Self.none))
        if first == Self.none {
            slots.insert(Int(place), hash: hash)
        } else {
            mentions[first].before = place
            slots.replace(Int(first), with: Int(place), hash: hash)
        }
        if last == Self.none { consumers[consumer].firstMention = place } else { mentions[last].sibling = place }
        last = place
    }

    // MARK: Leaving

    /// Adds to `paired` the places of the consumers that wait for this span, each once until it is removed.
    mutating func pair(with reference: SpanReference, _ paired: inout [UInt32]) {
        if slots.count == 0 { return }
        var next = first(of: reference, hash(reference))
        while next != Self.none {
            let consumer = mentions[next].consumer
            next = mentions[next].after
            if consumers[consumer].isPaired { continue }
            consumers[consumer].isPaired = true
            paired.append(consumer)
        }
    }

    /// Sorts places of consumers by the order in which these came.
    func sort(_ places: inout [UInt32]) {
        if places.count > 1 { places.sort { consumers[$0].ticket < consumers[$1].ticket } }
    }

    mutating func removeOldest() -> Consumer? {
        var awaited: [SpanReference] = []
        return oldestPlace == Self.none ? nil : remove(oldestPlace, awaited: &awaited)
    }

    /// Removes a consumer. `awaited` becomes the spans that it has waited for: its parent, its links.
    mutating func remove(_ place: UInt32, awaited: inout [SpanReference]) -> Consumer {
        awaited.removeAll(keepingCapacity: true)
        let entry = consumers[place]
        if entry.older == Self.none { oldestPlace = entry.newer } else { consumers[entry.older].newer = entry.newer }
        if entry.newer == Self.none { newestPlace = entry.older } else { consumers[entry.newer].older = entry.older }
        var next = entry.firstMention
        while next != Self.none {
            let mention = mentions[next]
            awaited.append(mention.reference)
            forget(mention, at: next)
            next = mention.sibling
        }
        // Its part of the heap must not outlive it.
        consumers[place].consumer.attempt = nil
        consumers.remove(place)
        return entry.consumer
    }

    private mutating func forget(_ mention: Mention, at place: UInt32) {
        if mention.after != Self.none { mentions[mention.after].before = mention.before }
        if mention.before != Self.none {
            mentions[mention.before].after = mention.after
        } else {
            let hash = hash(mention.reference)
            if mention.after == Self.none {
                slots.remove(Int(place), hash: hash)
            } else {
                slots.replace(Int(place), with: Int(mention.after), hash: hash)
            }
        }
        mentions.remove(place)
    }

    private func first(of reference: SpanReference, _ hash: UInt64) -> UInt32 {
        slots.find(hash) { mentions[UInt32($0)].reference == reference }.map { UInt32($0) } ?? Self.none
    }
}
