// Package tasktrace makes spans of Asynq tasks for asynq-collector: one where a task is enqueued, and one for each attempt
// at it, below the first. The task carries its trace, and since when it could be run; the collector measures the wait by that.
//
//   - [Start] sends spans through an exporter of the package exportgrpc or exporthttp, with settings that lose nothing.
//   - [Client] enqueues tasks that carry these in their headers, from Asynq 0.26 on; [PayloadClient] in the payload, before.
//   - [Middleware] makes the spans of the worker. It reads both, so workers need not know which client a task came from.
//   - [PreEnqueue] stamps the tasks of an [asynq.Scheduler].
//   - [LogHandler] adds the trace and the task to the lines of [log/slog].
//
// The package compiles with every Asynq from 0.24.1 on.
package tasktrace
