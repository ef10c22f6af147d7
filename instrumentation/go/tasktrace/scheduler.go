package tasktrace

import (
	"time"

	"github.com/hibiken/asynq"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/internal/carrier"
)

// PreEnqueue stamps a periodic task just before it is enqueued. It is for [asynq.SchedulerOpts], and for tasks that were
// registered with headers, even if empty: asynq.NewTaskWithHeaders(typename, payload, map[string]string{}). Others stay as they
// are, because there is no place for the stamp. The span of such a task is the root of its trace.
func PreEnqueue(task *asynq.Task, options []asynq.Option) {
	if into := headers(task); into != nil {
		_, due := destination(options)
		carrier.Stamp(into, time.Now(), due)
	}
}
