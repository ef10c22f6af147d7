// Payload enqueues a task whose payload carries the trace: Asynq before 0.26.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/hibiken/asynq"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/exportgrpc"
	"github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"
)

type mail struct {
	tasktrace.Carrier
	User int `json:"user"`
}

func newClient(redis asynq.RedisConnOpt) *tasktrace.PayloadClient {
	return tasktrace.NewPayloadClient(asynq.NewClient(redis))
}

func sendMail(ctx context.Context, client *tasktrace.PayloadClient) (*asynq.TaskInfo, error) {
	return client.Enqueue(ctx, "email:send", &mail{User: 42}, asynq.Queue("mail"))
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
	flush, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	slog.Info("enqueued", "task", info, "error", err, "spans", stopTracing(flush))
}
