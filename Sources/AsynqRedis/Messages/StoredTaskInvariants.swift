import Model
import ProtobufWire

extension StoredTask {
    /// Checks what must hold for all bytes, as a task's message and as its payload; for fuzzers and tests. Traps where
    /// it doesn't.
    package static func checkInvariants(_ bytes: UnsafeRawBufferPointer) {
        let copy = [UInt8](bytes)
        do throws(WireError) {
            let task = try StoredTask(taskMessage: copy, names: names)
            let again = try StoredTask(taskMessage: copy, names: names)
            precondition(task == again, "the same message gives two tasks")
            task.check()
        } catch {
            precondition((0...copy.count).contains(error.offset), "an error outside the message")
        }
        // The payload of a message must read the same as by itself.
        let carried = CarriedValues(payload: bytes, names: names)
        var writer = WireWriter()
        writer.data(TaskMessageField.payload.rawValue, copy)
        do throws(WireError) {
            let task = try StoredTask(taskMessage: writer.bytes, names: names)
            precondition(task.context == carried.context, "another context inside a message")
            precondition(task.enqueuedAt == carried.enqueuedAt, "another time inside a message")
            task.check()
        } catch {
            preconditionFailure("a message of a payload is not a message: \(error)")
        }
    }

    private func check() {
        precondition(context.map { $0.reference.trace.isValid } ?? true, "a context without a trace")
        precondition((context?.traceState.count ?? 0) <= CarriedValues.maxBytes, "a longer state than is kept")
        precondition(
            errorMessage.bytes.count <= Self.maxErrorBytes && type.bytes.count <= Self.maxErrorBytes, "a long text")
        for time in [enqueuedAt, processAt] {
            precondition(time.map { $0.wholeSeconds > 0 } ?? true, "a time before the epoch")
        }
    }

    private static let names = CarriedNames()
}
