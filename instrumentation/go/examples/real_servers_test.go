// Package examples has the tests of the module against a real redis-server and the real collector, which the environment variable
// ASYNQ_COLLECTOR names.
package examples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/asynq-collector/asynq-collector/instrumentation/go/exportgrpc"
	"github.com/asynq-collector/asynq-collector/instrumentation/go/exporthttp"
	"github.com/asynq-collector/asynq-collector/instrumentation/go/tasktrace"
)

// servers are a Redis and a collector of this test's own, in a folder of its own.
type servers struct {
	t         *testing.T
	folder    string
	program   string
	metrics   string
	collector *exec.Cmd
}

func startServers(t *testing.T) *servers {
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIPPED: redis-server is not installed")
	}
	program := os.Getenv("ASYNQ_COLLECTOR")
	if program == "" {
		t.Skip("SKIPPED: the environment variable ASYNQ_COLLECTOR does not name the collector")
	}
	folder, err := os.MkdirTemp("", "tasktrace") // Short: the path of a socket has at most 107 bytes.
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &servers{t: t, folder: folder, program: program, metrics: listener.Addr().String()}
	listener.Close()
	database := exec.Command(redis, "--port", "0", "--unixsocket", s.path("redis"), "--save", "", "--dir", folder)
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		database.Process.Kill()
		database.Wait()
		os.RemoveAll(folder)
	})
	s.until("redis-server answers", func() bool { _, err := os.Stat(s.path("redis")); return err == nil })
	return s
}

func (s *servers) path(name string) string { return filepath.Join(s.folder, name) }

func (s *servers) redis() asynq.RedisClientOpt {
	return asynq.RedisClientOpt{Network: "unix", Addr: s.path("redis")}
}

func (s *servers) run() {
	s.collector = exec.Command(s.program, "run", "--redis-url", "unix://"+s.path("redis"), "--otlp-socket", s.path("otlp"),
		"--otlp-listen", "none", "--metrics-listen", s.metrics, "--spool-directory", s.path("spool"), "--log-level", "error",
		"--redis-look-interval", "0")
	s.collector.Stderr = os.Stderr
	if err := s.collector.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.until("the collector is ready", func() bool {
		answer, err := http.Get("http://" + s.metrics + "/-/ready")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

func (s *servers) kill() {
	if s.collector != nil {
		s.collector.Process.Signal(syscall.SIGKILL)
		s.collector.Wait()
		s.collector = nil
	}
}

func (s *servers) until(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(60 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("after a minute: not yet that %s", what)
		}
	}
}

// sum adds up the samples of a family that have these labels.
func (s *servers) sum(family string, labels ...string) float64 {
	s.t.Helper()
	answer, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	total := 0.0
	for _, match := range regexp.MustCompile(`(?m)^`+family+`(\{.*\})? (\S+)$`).FindAllStringSubmatch(string(page), -1) {
		has := true
		for _, label := range labels {
			has = has && strings.Contains(match[1], label)
		}
		if value, err := strconv.ParseFloat(match[2], 64); has && err == nil {
			total += value
		}
	}
	return total
}

func (s *servers) expect(want float64, family string, labels ...string) {
	s.t.Helper()
	if got := s.sum(family, labels...); got != want {
		s.t.Errorf("%s%v is %v, want %v", family, labels, got, want)
	}
}

type declined struct{}

func (declined) Error() string { return "declined" }

type job struct {
	tasktrace.Carrier
	How string `json:"how"`
}

const each = 25 // Tasks of a kind.

var exporters = map[string]func(context.Context, string) (sdktrace.SpanExporter, error){
	"grpc": func(ctx context.Context, target string) (sdktrace.SpanExporter, error) {
		return exportgrpc.New(ctx, target)
	},
	"http": func(ctx context.Context, target string) (sdktrace.SpanExporter, error) {
		return exporthttp.New(ctx, target)
	},
}

type enqueue func(ctx context.Context, typename string, options ...asynq.Option) (*asynq.TaskInfo, error)

var clients = map[string]func(*asynq.Client) enqueue{
	"headers": func(client *asynq.Client) enqueue {
		ours := tasktrace.NewClient(client, asynq.NewTaskWithHeaders)
		return func(ctx context.Context, typename string, options ...asynq.Option) (*asynq.TaskInfo, error) {
			return ours.Enqueue(ctx, typename, []byte("\x00 not JSON"), options...)
		}
	},
	"payload": func(client *asynq.Client) enqueue {
		ours := tasktrace.NewPayloadClient(client)
		return func(ctx context.Context, typename string, options ...asynq.Option) (*asynq.TaskInfo, error) {
			return ours.Enqueue(ctx, typename, &job{How: typename}, options...)
		}
	},
}

// startWorker starts a worker, which counts the attempts that have ended.
func (s *servers) startWorker(ended *atomic.Int64) *asynq.Server {
	server := asynq.NewServer(s.redis(), asynq.Config{Concurrency: 8, Queues: map[string]int{"jobs": 1}, LogLevel: asynq.FatalLevel,
		DelayedTaskCheckInterval: time.Second, RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return 0 }})
	mux := asynq.NewServeMux()
	mux.Use(func(next asynq.Handler) asynq.Handler {
		return asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
			defer ended.Add(1)
			return next.ProcessTask(ctx, task)
		})
	}, tasktrace.Middleware())
	mux.HandleFunc("good", func(ctx context.Context, _ *asynq.Task) error { slog.InfoContext(ctx, "good"); return nil })
	mux.HandleFunc("bad", func(context.Context, *asynq.Task) error { return fmt.Errorf("bad: %w", declined{}) })
	mux.HandleFunc("ugly", func(context.Context, *asynq.Task) error { panic("ugly") })
	if err := server.Start(mux); err != nil {
		s.t.Fatal(err)
	}
	return server
}

func TestEveryTaskArrivesOnce(t *testing.T) {
	for exporterName, newExporter := range exporters {
		for clientName, newClient := range clients {
			t.Run(exporterName+" "+clientName, func(t *testing.T) {
				s := startServers(t)
				s.run()
				ctx := context.Background()
				exporter, err := newExporter(ctx, s.path("otlp"))
				if err != nil {
					t.Fatal(err)
				}
				spans, lines := tracetest.NewSpanRecorder(), new(bytes.Buffer)
				stop := tasktrace.Start(exporter, sdktrace.WithSpanProcessor(spans))
				slog.SetDefault(slog.New(tasktrace.NewLogHandler(slog.NewJSONHandler(lines, nil))))
				client := asynq.NewClient(s.redis())
				defer client.Close()
				send := newClient(client)
				jobs := asynq.Queue("jobs")
				for range each {
					_, err1 := send(ctx, "good", jobs)
					_, err2 := send(ctx, "bad", jobs, asynq.MaxRetry(1))
					_, err3 := send(ctx, "ugly", jobs, asynq.MaxRetry(0))
					_, err4 := send(ctx, "good", jobs, asynq.ProcessIn(2*time.Second))
					if err := errors.Join(err1, err2, err3, err4); err != nil {
						t.Fatal(err)
					}
				}
				var ended atomic.Int64
				worker := s.startWorker(&ended)
				s.until("all attempts have ended", func() bool { return ended.Load() == 5*each })
				worker.Shutdown()
				if err := stop(ctx); err != nil {
					t.Fatal(err)
				}
				attempts := "asynq_task_attempts_total"
				s.expect(2*each, attempts, `task_type="good"`, `status="completed"`, `attempt="first"`)
				s.expect(each, attempts, `task_type="bad"`, `status="failed"`, `attempt="first"`)
				s.expect(each, attempts, `task_type="bad"`, `status="failed"`, `attempt="retry"`)
				s.expect(each, attempts, `task_type="ugly"`, `status="failed"`, `attempt="first"`)
				s.expect(5*each, attempts)
				s.expect(2*each, "asynq_task_failures_total", `error_type="examples.declined"`)
				s.expect(each, "asynq_task_failures_total", `error_type="panic"`)
				s.expect(4*each, "asynq_task_wait_duration_seconds_count") // All first attempts.
				s.expect(each, "asynq_collector_process_at_waits_total")
				s.expect(9*each, "asynq_collector_accepted_spans_total") // 4 sent, 5 attempts.
				s.expect(0, "asynq_collector_duplicate_spans_total")
				assertEachAttemptIsBelowItsProducer(t, spans.Ended())
				assertEachLineNamesItsTask(t, lines.String())
				// Waits of scheduled tasks begin at their time: without process_at each would have 2 seconds more.
				if scheduled := s.sum("asynq_task_wait_duration_seconds_sum", `task_type="good"`); scheduled > 2*each*2 {
					t.Errorf("good tasks waited %v s in all", scheduled)
				}
			})
		}
	}
}

func assertEachAttemptIsBelowItsProducer(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	producers, attempts := map[trace.SpanID]sdktrace.ReadOnlySpan{}, 0
	for _, span := range spans {
		if span.SpanKind() == trace.SpanKindProducer {
			producers[span.SpanContext().SpanID()] = span
		}
	}
	for _, span := range spans {
		if span.SpanKind() != trace.SpanKindConsumer {
			continue
		}
		attempts++
		producer := producers[span.Parent().SpanID()]
		if producer == nil || producer.SpanContext().TraceID() != span.SpanContext().TraceID() {
			t.Errorf("%s is below no producer: %v", span.Name(), span.Parent())
		}
	}
	if len(producers) != 4*each || attempts != 5*each {
		t.Errorf("%d producers and %d attempts", len(producers), attempts)
	}
}

func assertEachLineNamesItsTask(t *testing.T, lines string) {
	t.Helper()
	for _, name := range []string{`"trace_id":"`, `"span_id":"`, `"task_id":"`, `"queue":"jobs"`} {
		if got := strings.Count(lines, name); got != 2*each {
			t.Errorf("%d lines have %s, want %d", got, name, 2*each)
		}
	}
}

func TestPeriodicTasksAreStampedEachTime(t *testing.T) {
	task := asynq.NewTaskWithHeaders("report", nil, map[string]string{})
	tasktrace.PreEnqueue(task, nil)
	first := task.Headers()["enqueued_at"]
	tasktrace.PreEnqueue(task, []asynq.Option{asynq.ProcessAt(time.Unix(1_760_000_000, 0))})
	if second := task.Headers()["enqueued_at"]; first == "" || second <= first || task.Headers()["process_at"] != "1760000000" {
		t.Error(first, task.Headers())
	}
	tasktrace.PreEnqueue(asynq.NewTask("report", nil), nil) // Without a place for the stamp it does nothing.
}

func TestNothingIsLostWhileTheCollectorIsUnavailable(t *testing.T) {
	for name, newExporter := range exporters {
		t.Run(name, func(t *testing.T) {
			s := startServers(t)
			s.run()
			ctx := context.Background()
			exporter, err := newExporter(ctx, s.path("otlp"))
			if err != nil {
				t.Fatal(err)
			}
			stop := tasktrace.Start(exporter)
			client := asynq.NewClient(s.redis())
			defer client.Close()
			send := clients["headers"](client)
			enqueueAll := func() {
				for range 10 * each {
					if _, err := send(ctx, "good", asynq.Queue("jobs")); err != nil {
						t.Fatal(err)
					}
				}
			}
			enqueueAll()
			s.until("the first spans are there", func() bool { return s.sum("asynq_collector_accepted_spans_total") == 10*each })
			s.kill()
			enqueueAll()
			time.Sleep(3 * time.Second) // Long enough for batches to fail.
			s.run()
			if err := stop(ctx); err != nil {
				t.Fatal(err)
			}
			s.expect(10*each, "asynq_collector_accepted_spans_total") // Counted from zero by the new process.
		})
	}
}
