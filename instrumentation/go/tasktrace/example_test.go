package tasktrace_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/hibiken/asynq"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/exportgrpc"
	"github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"
)

func ExampleMiddleware() {
	mux := asynq.NewServeMux()
	mux.Use(tasktrace.Middleware())
}

func ExampleStart() {
	ctx := context.Background()
	exporter, err := exportgrpc.New(ctx, "/run/asynq-collector/otlp.sock")
	if err != nil {
		slog.Error("no tracing", "error", err)
		return
	}
	stop := tasktrace.Start(exporter)
	defer stop(ctx) // When all else has ended.
}

func ExampleNewPayloadClient() {
	type Mail struct {
		tasktrace.Carrier
		User int `json:"user"`
	}
	client := tasktrace.NewPayloadClient(asynq.NewClient(asynq.RedisClientOpt{Addr: "127.0.0.1:6379"}))
	defer client.Close()
	client.Enqueue(context.Background(), "email:send", &Mail{User: 42}, asynq.Queue("mail"))
}

func ExampleNewLogHandler() {
	slog.SetDefault(slog.New(tasktrace.NewLogHandler(slog.NewJSONHandler(os.Stderr, nil))))
}
