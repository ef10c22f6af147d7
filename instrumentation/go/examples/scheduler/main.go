// Scheduler enqueues a task each minute. Its tasks have a wait, though no span of yours enqueued them.
package main

import (
	"os"

	"github.com/hibiken/asynq"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"
)

func newScheduler(redis asynq.RedisConnOpt) (*asynq.Scheduler, error) {
	scheduler := asynq.NewScheduler(redis, &asynq.SchedulerOpts{PreEnqueueFunc: tasktrace.PreEnqueue})
	empty := map[string]string{} // Not nil: the stamp has to have a place.
	_, err := scheduler.Register("@every 1m", asynq.NewTaskWithHeaders("report:daily", nil, empty), asynq.Queue("default"))
	return scheduler, err
}

func main() {
	redis, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		panic(err)
	}
	scheduler, err := newScheduler(redis)
	if err != nil {
		panic(err)
	}
	if err := scheduler.Run(); err != nil { // Until SIGTERM.
		panic(err)
	}
}
