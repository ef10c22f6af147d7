import NIOCore
import Testing

@testable import SpanReceiver

@Suite("gRPC's framing")
struct GRPCMessageTests {
    private func read(_ bytes: [UInt8]) -> Result<GRPCMessage, GRPCMessage.Broken> {
        do throws(GRPCMessage.Broken) {
            return .success(try GRPCMessage(in: ByteBuffer(bytes: bytes)))
        } catch {
            return .failure(error)
        }
    }

    @Test("one message is read, empty and compressed ones too")
    func oneMessage() throws {
        let plain = try read([0, 0, 0, 0, 3, 7, 8, 9]).get()
        #expect(!plain.isCompressed)
        #expect(Array(plain.bytes.readableBytesView) == [7, 8, 9])
        #expect(try read([0, 0, 0, 0, 0]).get().bytes.readableBytes == 0)
        #expect(try read([1, 0, 0, 0, 1, 7]).get().isCompressed)
    }

    @Test("none, a part of one and more than one are told apart")
    func broken() {
        #expect(read([]) == .failure(.missing))
        for length in 1..<8 {
            #expect(read(Array([UInt8]([0, 0, 0, 0, 3, 7, 8, 9])[..<length])) == .failure(.truncated))
        }
        #expect(read([0, 0, 0, 0, 1, 7, 0, 0, 0, 0, 1, 8]) == .failure(.severalMessages))
        #expect(read([0, 0, 0, 0, 1, 7, 0]) == .failure(.severalMessages))
        #expect(read([2, 0, 0, 0, 1, 7]) == .failure(.badFlag))
        #expect(read([0, 0xFF, 0xFF, 0xFF, 0xFF, 7]) == .failure(.truncated))
    }

    @Test("what is framed is read back")
    func roundTrip() throws {
        for length in [0, 1, 255, 256, 70_000] {
            let message = [UInt8](repeating: 42, count: length)
            #expect(Array(try read(GRPCMessage.framed(message)).get().bytes.readableBytesView) == message)
        }
    }
}

@Suite("gRPC's header fields")
struct GRPCFieldsTests {
    @Test(
        "a timeout is up to eight digits and a unit",
        arguments: [
            ("1H", 3_600_000_000_000), ("2M", 120_000_000_000), ("3S", 3_000_000_000), ("4m", 4_000_000), ("5u", 5000),
            ("6n", 6), ("0n", 0), ("00000001S", 1_000_000_000), ("99999999S", 99_999_999_000_000_000),
            ("99999999H", Int64.max),
        ] as [(String, Int64)])
    func timeout(text: String, nanoseconds: Int64) {
        #expect(GRPCFields.timeoutNanoseconds(text) == nanoseconds)
    }

    @Test(
        "anything else is no timeout",
        arguments: [
            "", "S", "1", "123456789S", "1s", "1h", "-1S", "+1S", "1 S", " 1S", "1S ", "1.5S", "0x1S", "١S", "1µ",
        ])
    func badTimeout(text: String) {
        #expect(GRPCFields.timeoutNanoseconds(text) == nil)
    }
}
