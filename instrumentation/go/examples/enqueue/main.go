// Enqueue enqueues tasks whose headers carry the trace: Asynq 0.26 and newer. One of them fails.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/hibiken/asynq"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/exportgrpc"
	"github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"
)

func newClient(redis asynq.RedisConnOpt) *tasktrace.Client {
	return tasktrace.NewClient(asynq.NewClient(redis), asynq.NewTaskWithHeaders)
}

func sendMail(ctx context.Context, client *tasktrace.Client) (*asynq.TaskInfo, error) {
	return client.Enqueue(ctx, "email:send", []byte(`{"user":42}`), asynq.Queue("mail"))
}

// printInvoice enqueues a task that fails. It may not be tried again, so that it is a dead letter at once.
func printInvoice(ctx context.Context, client *tasktrace.Client) (*asynq.TaskInfo, error) {
	return client.Enqueue(ctx, "invoice:print", []byte(`{"customer":42}`), asynq.Queue("mail"), asynq.MaxRetry(0))
}

func main() {
	ctx := context.Background()
	exporter, err := exportgrpc.New(ctx, os.Getenv("OTLP_SOCKET"))
	if err != nil {
		panic(err)
	}
	stopTracing := tasktrace.Start(exporter)
	redis, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		panic(err)
	}
	client := newClient(redis)
	defer client.Close()
	info, err := sendMail(ctx, client)
	failing, failure := printInvoice(ctx, client)
	flush, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	slog.Info("enqueued", "task", info, "failing", failing, "error", errors.Join(err, failure), "spans", stopTracing(flush))
}
