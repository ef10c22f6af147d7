#if canImport(CISAL) && !WITHOUT_ISAL
    import CISAL

    /// One reusable gzip compressor by ISA-L.
    package final class ISALCompressor {
        /// The compressor's state: 164 KiB, most of it the window and a hash table.
        private let stream: UnsafeMutablePointer<isal_zstream>
        private let levelTables: UnsafeMutableRawBufferPointer
        private let level: UInt32

        /// Makes a compressor of level 0 to 3. At 0 the Huffman codes are fixed ones; from 1 on they are made for each
        /// block.
        package init(level: Int = 1) {
            self.level = UInt32(level)
            stream = zeroed()
            levelTables = .allocate(byteCount: Int(collector_isal_level_bytes(self.level)), alignment: 16)
        }

        deinit {
            stream.deallocate()
            levelTables.deallocate()
        }

        /// The bytes that it takes in memory.
        package var byteCount: Int { MemoryLayout<isal_zstream>.size + levelTables.count }

        /// Returns a complete gzip member of `input`.
        package func compress(_ input: UnsafeRawBufferPointer) -> [UInt8] {
            // This resets the options, too, and has to: the call below changes gzip_flag.
            isal_deflate_stateless_init(stream)
            setOptions()
            stream.pointee.next_in = mutableBytes(of: input)
            stream.pointee.avail_in = UInt32(input.count)
            return [UInt8](unsafeUninitializedCapacity: Self.bound(input.count)) { output, count in
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = UInt32(output.count)
                let code = isal_deflate_stateless(stream)
                precondition(code == COMP_OK, "isal_deflate_stateless with space for stored blocks: \(code)")
                count = output.count - Int(stream.pointee.avail_out)
            }
        }

        /// Returns a complete gzip member of the pieces that `write` hands over.
        package func compress(piecesOf write: (_ take: (UnsafeRawBufferPointer) -> Void) -> Void) -> [UInt8] {
            var output: [UInt8] = []
            begin()
            write { add($0, to: &output) }
            end(to: &output)
            return output
        }

        /// Begins a gzip member whose pieces come one by one.
        package func begin() {
            isal_deflate_init(stream)
            setOptions()
        }

        /// Appends to `output` the bytes of the member that a piece leads to; they may be none yet.
        package func add(_ piece: UnsafeRawBufferPointer, to output: inout [UInt8]) {
            stream.pointee.next_in = mutableBytes(of: piece)
            stream.pointee.avail_in = UInt32(piece.count)
            deflate(into: &output)
        }

        /// Appends the end of the member.
        package func end(to output: inout [UInt8]) {
            stream.pointee.end_of_stream = 1
            stream.pointee.avail_in = 0
            deflate(into: &output)
        }

        /// Compresses all of the input at hand.
        private func deflate(into output: inout [UInt8]) {
            withUnsafeTemporaryAllocation(byteCount: 32 << 10, alignment: 16) { space in
                repeat {
                    stream.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.pointee.avail_out = UInt32(space.count)
                    let code = isal_deflate(stream)
                    precondition(code == COMP_OK, "isal_deflate: \(code)")
                    output.append(contentsOf: space.dropLast(Int(stream.pointee.avail_out)))
                } while stream.pointee.avail_out == 0
            }
        }

        private func setOptions() {
            stream.pointee.level = level
            stream.pointee.level_buf = levelTables.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.level_buf_size = UInt32(levelTables.count)
            stream.pointee.gzip_flag = UInt16(IGZIP_GZIP)
        }

        /// Returns the largest size of a member. Data that does not shrink is stored in blocks of at most 65,535 bytes
        /// with a head of 5; gzip's own head has 10 bytes, its end 8.
        private static func bound(_ count: Int) -> Int {
            count + 5 * (count / 65_535 + 1) + 18
        }
    }

    /// One reusable decompressor of gzip and zlib data by ISA-L.
    package final class ISALInflater: DeflateDecoder {
        /// The decoder's state: 86 KiB, which are the code tables and 64 KiB of history.
        private let state: UnsafeMutablePointer<inflate_state>

        package init() {
            state = zeroed()
        }

        deinit {
            state.deallocate()
        }

        /// Inflates all of `input`, several gzip members in a row included; at most `limit` bytes come out.
        /// - Throws: `DecompressionError` where the input is malformed, or more would come out.
        package func inflate(_ input: UnsafeRawBufferPointer, limit: Int) throws(DecompressionError) -> [UInt8] {
            try inflateStreams(input, limit: limit)
        }

        func begin(_ input: UnsafeRawBufferPointer) -> DecompressionError? {
            let format: Int32
            switch Self.header(input) {
            case .gzip: format = ISAL_GZIP
            case .zlib: format = ISAL_ZLIB
            case .unknown(let error): return error
            }
            isal_inflate_init(state)
            state.pointee.crc_flag = UInt32(format)
            state.pointee.next_in = mutableBytes(of: input)
            state.pointee.avail_in = UInt32(input.count)
            return nil
        }

        func step(into space: UnsafeMutableRawBufferPointer) -> DeflateStep {
            state.pointee.next_out = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
            state.pointee.avail_out = UInt32(space.count)
            let code = isal_inflate(state)
            guard code == ISAL_DECOMP_OK else { return .failed(.malformed(Self.reason(code))) }
            let bytes = space.count - Int(state.pointee.avail_out)
            guard state.pointee.block_state == ISAL_BLOCK_FINISH else { return .wrote(bytes) }
            // Behind zlib's checksum whole bytes may be left in the bit buffer, already taken from the input.
            return .ended(wrote: bytes, unread: Int(state.pointee.avail_in) + Int(state.pointee.read_in_length) / 8)
        }

        private enum Header {
            case gzip, zlib
            case unknown(DecompressionError)
        }

        /// Returns the kind of the header, which ISA-L has to be told. ISA-L is more lenient than zlib: it takes flags
        /// that RFC 1952 wants refused, and windows that RFC 1950 does not allow.
        private static func header(_ input: UnsafeRawBufferPointer) -> Header {
            let first = input.isEmpty ? 0 : input[0]
            if first == 0x1F {
                if input.count > 1, input[1] != 0x8B { return .unknown(.malformed("no gzip or zlib header")) }
                if input.count > 3, input[3] & 0xE0 != 0 { return .unknown(.malformed("unknown gzip flags")) }
                return .gzip
            }
            if input.count < 2 { return .unknown(.truncated) }
            guard first & 0x0F == 8, first >> 4 <= 7, (Int(first) << 8 | Int(input[1])) % 31 == 0 else {
                return .unknown(.malformed("no gzip or zlib header"))
            }
            return .zlib
        }

        private static func reason(_ code: Int32) -> String {
            switch code {
            case ISAL_INVALID_BLOCK: "invalid block"
            case ISAL_INVALID_SYMBOL: "invalid symbol"
            case ISAL_INVALID_LOOKBACK: "a distance too far back"
            case ISAL_INVALID_WRAPPER: "invalid header"
            case ISAL_UNSUPPORTED_METHOD: "unknown compression method"
            case ISAL_INCORRECT_CHECKSUM: "the checksum or the length does not match"
            case ISAL_NEED_DICT: "it needs a dictionary"
            default: "code \(code)"
            }
        }
    }

    /// Returns a zeroed struct on the heap. The structs are too large for Swift's initializers, and ISA-L's do not set
    /// every field.
    private func zeroed<State>() -> UnsafeMutablePointer<State> {
        let state = UnsafeMutablePointer<State>.allocate(capacity: 1)
        UnsafeMutableRawPointer(state).initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<State>.size)
        return state
    }
#endif
