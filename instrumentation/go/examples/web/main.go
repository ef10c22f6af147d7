// Web serves a page whose button enqueues a task, in one trace from the browser on.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/exportgrpc"
	"github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"
)

func main() {
	ctx, done := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer done()
	slog.SetDefault(slog.New(tasktrace.NewLogHandler(slog.NewJSONHandler(os.Stderr, nil))))
	exporter, err := exportgrpc.New(ctx, os.Getenv("OTLP_SOCKET"))
	if err != nil {
		panic(err)
	}
	stopTracing := tasktrace.Start(exporter)
	redis, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		panic(err)
	}
	client := tasktrace.NewClient(asynq.NewClient(redis), asynq.NewTaskWithHeaders)
	defer client.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "page.html") })
	mux.HandleFunc("POST /mail", func(w http.ResponseWriter, r *http.Request) {
		ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := otel.Tracer("web").Start(ctx, "POST /mail", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		info, err := client.Enqueue(ctx, "email:send", []byte(`{"user":42}`), asynq.Queue("mail"))
		if err != nil {
			slog.ErrorContext(ctx, "not enqueued", "error", err)
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		slog.InfoContext(ctx, "enqueued", "task_id", info.ID)
		w.Write([]byte(info.ID))
	})
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: mux}
	go server.ListenAndServe()
	<-ctx.Done()
	flush, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	slog.Info("ended", "requests", server.Shutdown(flush), "spans", stopTracing(flush))
}
