import Testing

@testable import Collector

@Suite("The memory that the cgroup allows")
struct CgroupMemoryTests {
    private func limit(_ files: [String: String]) -> Int? { CgroupMemory.limit { files[$0] } }

    @Test("v2: the least of the group and of those around it; max is none")
    func unified() {
        let own = ["/proc/self/cgroup": "0::/kubepods/pod1/a\n"]
        let group = "/sys/fs/cgroup/kubepods"
        #expect(limit(own) == nil)
        #expect(limit(own.merging(["\(group)/pod1/a/memory.max": "max\n"]) { $1 }) == nil)
        #expect(limit(own.merging(["\(group)/pod1/a/memory.max": "134217728\n"]) { $1 }) == 134_217_728)
        let outer = ["\(group)/pod1/a/memory.max": "134217728\n", "\(group)/memory.max": "67108864\n"]
        #expect(limit(own.merging(outer) { $1 }) == 67_108_864)
    }

    @Test("In a container the group is the root, whatever its path on the host is")
    func container() {
        #expect(limit(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "1000\n"]) == 1000)
        #expect(
            limit([
                "/proc/self/cgroup": "4:memory:/docker/abc\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
            ]) == 2000)
    }

    @Test("v1: the group of the controller, among others; the number that stands for none is none")
    func separate() {
        let own = ["/proc/self/cgroup": "9:name=systemd:/a\n8:pids:/b\n4:cpu,memory:/c:d\n0::/\n"]
        let file = "/sys/fs/cgroup/memory/c:d/memory.limit_in_bytes"
        #expect(limit(own.merging([file: "9223372036854771712\n"]) { $1 }) == nil)
        #expect(limit(own.merging([file: "5000\n"]) { $1 }) == 5000)
    }

    @Test("Without control groups, and with lines that can't be read, there is none")
    func absent() {
        #expect(limit([:]) == nil)
        #expect(limit(["/proc/self/cgroup": "x\n0:\n\n"]) == nil)
    }
}
