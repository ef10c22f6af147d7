import Glibc
import Testing

@testable import Platform

/// A private directory, gone with the value.
final class Scratch {
    let path: String

    init() throws {
        var template = Array("/tmp/platform-tests-XXXXXX".utf8CString)
        guard let made = template.withUnsafeMutableBufferPointer({ $0.baseAddress.flatMap { mkdtemp($0) } }) else {
            throw SystemError("mkdtemp")
        }
        path = String(cString: made)
    }

    deinit { Files.removeTree(path) }

    func write(_ name: String, _ bytes: [UInt8] = [1]) throws {
        let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError("open", path: name) }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw SystemError("write") }
    }

    func kind(_ name: String) -> mode_t? {
        var status = stat()
        return lstat(path + "/" + name, &status) == 0 ? status.st_mode & S_IFMT : nil
    }
}

@Suite("Files")
struct FilesTests {
    @Test("missing parents are made, and what exists is left alone")
    func makesParents() throws {
        let scratch = try Scratch()
        let made = try Files.makeDirectories(scratch.path + "/a/b/c")
        #expect(made == ["/a", "/a/b", "/a/b/c"].map { scratch.path + $0 })
        #expect(scratch.kind("a/b/c") == S_IFDIR)
        #expect(try Files.makeDirectories(scratch.path + "/a/b/c") == [])
        try Files.makeDirectories(scratch.path + "//a///b/d/")
        #expect(scratch.kind("a/b/d") == S_IFDIR)
        try Files.makeDirectories("/")
        try Files.makeDirectories(".")
    }

    @Test("the mode is the one asked for")
    func mode() throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/a/b", mode: 0o700)
        for name in ["/a", "/a/b"] {
            var status = stat()
            #expect(stat(scratch.path + name, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o700)
        }
    }

    @Test("a file where the directory should be is an error, at the end of the path too")
    func fileInTheWay() throws {
        let scratch = try Scratch()
        try scratch.write("file")
        #expect(throws: SystemError.self) { try Files.makeDirectories(scratch.path + "/file") }
        #expect(throws: SystemError.self) { try Files.makeDirectories(scratch.path + "/file/below") }
    }

    @Test("a link to a directory will do, a link to nothing will not")
    func links() throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/real")
        symlink("real", scratch.path + "/link")
        symlink("nowhere", scratch.path + "/dangling")
        try Files.makeDirectories(scratch.path + "/link/below")
        #expect(scratch.kind("real/below") == S_IFDIR)
        #expect(throws: SystemError.self) { try Files.makeDirectories(scratch.path + "/dangling") }
    }

    @Test("an error names the path and what the system said")
    func errorText() {
        let error = #expect(throws: SystemError.self) { try Files.makeDirectories("/proc/nothing-can-be-made-here") }
        #expect(error?.description.hasPrefix("creating directory /proc/nothing-can-be-made-here: ") == true)
    }

    @Test("a tree is removed with all that is in it")
    func removesTree() throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/tree/a/b")
        try scratch.write("tree/file")
        try scratch.write("tree/.hidden")
        try scratch.write("tree/a/b/ünï😀")
        Files.removeTree(scratch.path + "/tree")
        #expect(scratch.kind("tree") == nil)
        Files.removeTree(scratch.path + "/tree")  // Missing is no error.
    }

    @Test("a file whose name is not UTF-8 is removed too")
    func removesForeignNames() throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/tree")
        let name = Array(scratch.path.utf8) + Array("/tree/x".utf8) + [0xFF, 0]
        let descriptor = name.map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { path in
            path.baseAddress.map { creat($0, 0o600) } ?? -1
        }
        try #require(descriptor >= 0)
        close(descriptor)
        Files.removeTree(scratch.path + "/tree")
        #expect(scratch.kind("tree") == nil)
    }

    @Test("removing follows no link inside the tree")
    func innerLink() throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/kept")
        try scratch.write("kept/file")
        try Files.makeDirectories(scratch.path + "/tree")
        symlink("../kept", scratch.path + "/tree/link")
        Files.removeTree(scratch.path + "/tree")
        #expect(scratch.kind("tree") == nil)
        #expect(scratch.kind("kept/file") == S_IFREG)
    }

    @Test("removing a link removes the link, not what it names")
    func outerLink() throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/kept")
        try scratch.write("kept/file")
        symlink("kept", scratch.path + "/link")
        Files.removeTree(scratch.path + "/link")
        #expect(scratch.kind("link") == nil)
        #expect(scratch.kind("kept/file") == S_IFREG)
    }

    @Test("removing a file removes it")
    func plainFile() throws {
        let scratch = try Scratch()
        try scratch.write("file")
        Files.removeTree(scratch.path + "/file")
        #expect(scratch.kind("file") == nil)
    }

    @Test("a file is read whole up to the limit, and refused above it")
    func reads() throws {
        let scratch = try Scratch()
        let bytes = (0..<40_000).map { UInt8(truncatingIfNeeded: $0) }
        try scratch.write("file", bytes)
        #expect(try Files.read(scratch.path + "/file", limit: 40_000) == bytes)
        let error = #expect(throws: SystemError.self) { try Files.read(scratch.path + "/file", limit: 39_999) }
        #expect(error?.code == EFBIG)
        // Where no limit is named it is 1 MiB.
        for (bytes, isRead) in [(1 << 20, true), ((1 << 20) + 1, false)] {
            try Files.replace(scratch.path + "/file", with: [UInt8](repeating: 1, count: bytes))
            if isRead {
                #expect(try Files.read(scratch.path + "/file").count == bytes)
            } else {
                #expect(throws: SystemError.self) { try Files.read(scratch.path + "/file") }
            }
        }
        #expect(throws: SystemError.self) { try Files.read(scratch.path + "/missing") }
        #expect(throws: SystemError.self) { try Files.read(scratch.path) }
    }

    @Test(
        "the parent of a path is all before its last slash",
        arguments: [
            ("/a/b", "/a"), ("/a", "/"), ("a/b", "a"), ("a", "."),
        ])
    func parent(path: String, expected: String) {
        #expect(Files.parent(of: path) == expected)
    }

    @Test("a file is replaced whole, and nothing unfinished is left, whether that works or not")
    func replaces() throws {
        let scratch = try Scratch()
        let large = [UInt8](repeating: 7, count: 3 << 20)
        for content in [[1, 2, 3], [], large] as [[UInt8]] {
            try Files.replace(scratch.path + "/file", with: content)
            #expect(try Files.read(scratch.path + "/file", limit: 4 << 20) == content)
        }
        try Files.makeDirectories(scratch.path + "/directory")
        #expect(throws: SystemError.self) { try Files.replace(scratch.path + "/directory", with: [1]) }
        #expect(throws: SystemError.self) { try Files.replace(scratch.path + "/missing/file", with: [1]) }
        #expect(try Files.list(scratch.path).map(\.name) == ["file"])
    }

    @Test("a list of files has their sizes, and neither directories nor links")
    func lists() throws {
        let scratch = try Scratch()
        try scratch.write("a", [1, 2, 3])
        try scratch.write("b", [])
        try Files.makeDirectories(scratch.path + "/c")
        #expect(symlink(scratch.path + "/a", scratch.path + "/d") == 0)
        let found = try Files.list(scratch.path).sorted { $0.name < $1.name }
        #expect(found.map(\.name) == ["a", "b"] && found.map(\.bytes) == [3, 0])
        #expect(throws: SystemError.self) { try Files.list(scratch.path + "/a") }
    }

    private func code(_ body: () throws -> Void) -> Int32? {
        do {
            try body()
            return nil
        } catch {
            return (error as? SystemError)?.code
        }
    }

    @Test("errors have the system's codes: what is in the way of a directory, what is not there, what is too large")
    func codes() throws {
        let scratch = try Scratch()
        try scratch.write("file", [1, 2, 3])
        #expect(code { try Files.makeDirectories(scratch.path + "/file") } == ENOTDIR)
        #expect(code { _ = try Files.read(scratch.path + "/absent") } == ENOENT)
        #expect(code { _ = try Files.read(scratch.path + "/file", limit: 2) } == EFBIG)
        #expect(try Files.read(scratch.path + "/file", limit: 3) == [1, 2, 3])
        #expect(code { _ = try Files.read(scratch.path) } == EISDIR)
        #expect(code { try Files.syncDirectory(scratch.path + "/absent") } == ENOENT)
        #expect(code { try Files.syncDirectory(scratch.path) } == nil)
    }

    @Test("a directory that is required is one by itself, not by a link at its end")
    func required() throws {
        let scratch = try Scratch()
        try scratch.write("file")
        try Files.makeDirectories(scratch.path + "/real/below")
        symlink("real", scratch.path + "/link")
        #expect(code { try Files.requireDirectory(scratch.path + "/real") } == nil)
        #expect(code { try Files.requireDirectory(scratch.path + "/link/below") } == nil)
        #expect(code { try Files.requireDirectory(scratch.path + "/link") } == ENOTDIR)
        #expect(code { try Files.requireDirectory(scratch.path + "/file") } == ENOTDIR)
        #expect(code { try Files.requireDirectory(scratch.path + "/absent") } == ENOENT)
    }

    @Test("a file of our own is opened or made, with its mode; no link, no pipe and no directory is")
    func unlinked() throws {
        let scratch = try Scratch()
        func open(_ name: String) -> Int32? {
            code { close(try Files.openUnlinked(scratch.path + "/" + name, mode: 0o600)) }
        }
        #expect(open("new") == nil && open("new") == nil)
        var status = stat()
        #expect(stat(scratch.path + "/new", &status) == 0 && status.st_mode & 0o777 == 0o600)
        symlink("new", scratch.path + "/symbolic")
        #expect(open("symbolic") == ELOOP)
        link(scratch.path + "/new", scratch.path + "/hard")
        #expect(open("hard") == EMLINK && open("new") == EMLINK)
        mkfifo(scratch.path + "/pipe", 0o600)
        #expect(open("pipe") == ENOTSUP)
        #expect(open(".") == EISDIR)
        unlink(scratch.path + "/hard")
        #expect(open("new") == nil)
    }

    @Test("a file that is replaced has the mode asked for, whatever had its temporary name before")
    func replacedMode() throws {
        let scratch = try Scratch()
        try scratch.write("target")
        symlink("target", scratch.path + "/file" + Files.temporarySuffix)
        try Files.replace(scratch.path + "/file", with: [7], mode: 0o600)
        var status = stat()
        #expect(stat(scratch.path + "/file", &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(try Files.read(scratch.path + "/target") == [1], "a link is not followed")
        #expect(scratch.kind("file" + Files.temporarySuffix) == nil)
    }

    @Test("each name in a directory is told once, as the kernel has it")
    func entries() throws {
        let scratch = try Scratch()
        for name in ["a", ".hidden", "..x"] { try scratch.write(name) }
        var names: [String] = []
        try Files.forEachEntry(of: scratch.path) { _, name in names.append(String(cString: name)) }
        #expect(names.sorted() == ["..x", ".hidden", "a"])
        #expect(code { try Files.forEachEntry(of: scratch.path + "/absent") { _, _ in } } == ENOENT)
    }
}
