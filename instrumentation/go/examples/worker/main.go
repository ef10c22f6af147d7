// Worker runs tasks of the queues mail and default. Those that print an invoice fail.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/hibiken/asynq"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/exportgrpc"
	"github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"
)

func main() {
	slog.SetDefault(slog.New(tasktrace.NewLogHandler(slog.NewJSONHandler(os.Stderr, nil))))
	if err := run(context.Background()); err != nil {
		slog.Error("ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	exporter, err := exportgrpc.New(ctx, os.Getenv("OTLP_SOCKET"))
	if err != nil {
		return err
	}
	stopTracing := tasktrace.Start(exporter)
	redis, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	server := asynq.NewServer(redis, asynq.Config{Concurrency: 10, Queues: map[string]int{"mail": 1, "default": 1}})
	mux := asynq.NewServeMux()
	mux.Use(tasktrace.Middleware())
	mux.HandleFunc("email:send", sendEmail)
	mux.HandleFunc("invoice:print", printInvoice)
	err = server.Run(mux) // Until SIGTERM, and then until the handlers have returned.
	flush, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return errors.Join(err, stopTracing(flush))
}

func sendEmail(ctx context.Context, task *asynq.Task) error {
	slog.InfoContext(ctx, "sending", "bytes", len(task.Payload()))
	return nil
}

// Its type is the label error_type of asynq_task_failures_total, its text is the error on the status page.
type noSuchCustomer struct {
	id int
}

func (e noSuchCustomer) Error() string {
	return fmt.Sprintf("no customer %d", e.id)
}

func printInvoice(ctx context.Context, task *asynq.Task) error {
	slog.InfoContext(ctx, "printing", "bytes", len(task.Payload()))
	return noSuchCustomer{42}
}
