import JSON
import Model

@testable import Top

/// Documents as `/api/v1/overview` and `/api/v1/queues/{queue}` have them.
enum Samples {
    static func time(_ text: String) throws -> WallTime {
        guard let time = RFC3339.parse(Array(text.utf8)) else { throw JSONError(.badLiteral, at: 0) }
        return time
    }

    static func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    static func document(_ text: String = overview) throws -> TopDocument { TopDocument(try json(text)) }

    /// The state once the overview has come, a second and a half before `now`.
    static func state(_ text: String = overview) throws -> TopState {
        var state = TopState()
        state.show(try document(text), at: try time("2026-11-28T14:02:11.000Z"))
        return state
    }

    static func now() throws -> WallTime { try time("2026-11-28T14:02:12.500Z") }

    static func lines(_ state: TopState, _ columns: Int, _ rows: Int?) throws -> [String] {
        TopFrame(state, columns: columns, rows: rows, at: try now()).lines.map(\.text)
    }

    static let queueMembers = #"""
        {"queue":"emails","pending":120,"active":5,"scheduled":0,"retry":31,"archived":37,"completed":0,"aggregating":0,
         "paused":false,"oldest_wait_seconds":2.1,"orphaned":0,"trouble":"warning","wait_p50_seconds":0.8,
         "wait_p95_seconds":4,"wait_p99_seconds":9.4,"enqueued_per_second":6.5,"completed_per_second":5.1,
         "failed_per_second":0.76,"drain_seconds":41,"drains":"yes","consumers":1,"concurrency":10,"busy_workers":5,
         "longest_running_seconds":31
        """#

    static let overview = #"""
        {"now":"2026-11-28T14:02:11.000Z","unknown":[{"member":1}],
         "collector":{"version":"0.1.0","host":"web-7","pid":1,"started_at":"2026-11-28T10:50:11Z",
          "redis":"redis://10.0.0.5:6379/0","tempo":"http://tempo:4318","interval_seconds":5},
         "links":{"trace":"trace/{trace_id}"},
         "redis":{"state":"read","read_at":"2026-11-28T14:02:09.000Z","error":null},
         "attention":[
          {"severity":"critical","firing":true,"queue":"reports",
           "sentence":"reports: the backlog grows by 4/s, 3 of 3 workers busy, drains never at this rate"},
          {"severity":"warning","queue":"imports","sentence":"imports has been paused for 30 min; 5,377 tasks wait"},
          {"severity":"info","firing":false,"queue":null,
           "sentence":"Tempo has been unreachable for 4 min; spool 3 % full, full in 9 h"}],
         "attention_total":3,"looked_at":"4 queues and Redis",
         "totals":{"pending":5899,"active":19,"scheduled":120,"retry":31,"archived":44,"completed":0,"aggregating":0,
          "enqueued_per_second":25.1,"completed_per_second":20.9,"failed_per_second":0.8},
         "history":{"start":1764336600,"end":1764340200,"step":450,"points":8},
         "queues":[
          {"queue":"payments","pending":3,"active":2,"scheduled":0,"retry":0,"archived":0,"completed":0,"aggregating":0,
           "paused":false,"oldest_wait_seconds":0.012,"wait_p50_seconds":0.004,"wait_p95_seconds":0.03,
           "wait_p99_seconds":0.2,"enqueued_per_second":3.8,"completed_per_second":3.8,"failed_per_second":0,
           "drain_seconds":0.8,"drains":"yes","concurrency":10,
           "history":{"pending":[0,1,2,3,4,8,4,3],"completed":[],"wait_p95":[null]}},
          \#(queueMembers),"history":{"pending":[0,60,120,240,480,240,120,120]}},
          {"queue":"reports","pending":387,"active":3,"scheduled":0,"retry":0,"archived":7,"completed":0,"aggregating":0,
           "paused":false,"oldest_wait_seconds":96,"trouble":"critical","wait_p95_seconds":88,"enqueued_per_second":6,
           "completed_per_second":2,"failed_per_second":0.1,"drain_seconds":null,"drains":"no","concurrency":3},
          {"queue":"imports","pending":5377,"active":0,"scheduled":120,"retry":0,"archived":0,"completed":0,
           "aggregating":0,"paused":true,"oldest_wait_seconds":1800,"trouble":"warning","enqueued_per_second":3,
           "completed_per_second":0,"failed_per_second":0,"concurrency":2},
          {"queue":"漢字の待ち行列\u001b[2J"}],
         "dead_letters":[{"queue":"emails","trace_id":"0af7651916cd43dd8448eb211c80319c"}],"slowest_waits":[],
         "forwarder":{"state":"retrying: 503","up":false},
         "spool":{"bytes":33554432,"capacity_bytes":1073741824,"full_in_seconds":32400},"memory":[]}
        """#

    static let queue = #"""
        \#(queueMembers),
         "history":{"start":1764336600,"end":1764340200,"step":450,"points":8,"pending":[0,60,120,240,480,240,120,120],
          "wait_p95":[null,1,2,3,4,4,4,4],"completed":[5,5,5,5,5,5,5,5],"failed":[0,0,0,0,1,1,1,0.8]},
         "task_types":[{"type":"email:send","attempts":2310,"failed":68,"wait_p95_seconds":4,"run_p95_seconds":0.9}],
         "errors":[{"task_type":"email:send","error":"smtp: <n> greylisted","attempts":41,"dead_letters":25}],
         "dead_letters":[{"type":"email:send","error":"smtp: 451 greylisted","archived_at":"2026-11-28T14:02:00Z",
          "trace_id":"0af7651916cd43dd8448eb211c80319c"}],
         "retries_due":[{"type":"email:send","error":"i/o timeout","at":"2026-11-28T14:02:13Z","trace_id":null}],
         "slowest_waits":[{"type":"email:send","seconds":9.4,"observed_at":"2026-11-28T14:01:13Z"}],
         "servers":[{"host":"worker-2","pid":4711,"id":"x"}]}
        """#
}
