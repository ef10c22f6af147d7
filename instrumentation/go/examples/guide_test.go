package examples

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// get reads a document of the collector; what is not there leaves the value as it is.
func (s *servers) get(path string, into any) {
	s.t.Helper()
	answer, err := http.Get("http://" + s.metrics + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		s.t.Fatal(err)
	}
}

// example makes the command of one of the guide's programs, with the guide's variables.
func (s *servers) example(name string) *exec.Cmd {
	s.t.Helper()
	if output, err := exec.Command("go", "build", "-o", s.path(name), "./"+name).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, output)
	}
	command := exec.Command(s.path(name))
	command.Env = append(os.Environ(), "OTLP_SOCKET="+s.path("otlp"), "REDIS_URL=redis-socket://"+s.path("redis"), "OTEL_SERVICE_NAME=mailer")
	return command
}

// The guide says that the task is in each of these places.
func TestTheTaskThatFailsIsADeadLetterWithItsTrace(t *testing.T) {
	s := startServers(t)
	s.run()
	worker := s.example("worker")
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	defer worker.Process.Kill()
	if output, err := s.example("enqueue").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}

	var errors []struct {
		Queue, Error string
		Type         string `json:"task_type"`
		Attempts     int
		DeadLetters  int `json:"dead_letters"`
		Example      struct {
			Task  string `json:"task_id"`
			Trace string `json:"trace_id"`
			Span  string `json:"span_id"`
		}
	}
	s.until("there is one attempt and one dead letter", func() bool {
		s.get("/api/v1/errors", &errors)
		return len(errors) == 1 && errors[0].Attempts == 1 && errors[0].DeadLetters == 1
	})
	found := errors[0]
	if found.Queue != "mail" || found.Type != "invoice:print" || found.Error != "no customer <n>" {
		t.Errorf("%+v", found)
	}
	var letters []struct {
		ID, Error string
		Trace     string `json:"trace_id"`
	}
	s.get("/api/v1/dead-letters", &letters)
	if len(letters) != 1 || letters[0].Error != "no customer 42" || letters[0].ID != found.Example.Task ||
		letters[0].Trace != found.Example.Trace {
		t.Errorf("%+v, %+v", letters, found)
	}
	// The span of the example is the attempt that failed, and not its producer.
	var trace struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					ID     string `json:"spanId"`
					Name   string
					Status struct{ Message string }
				}
			}
		}
	}
	s.until("the trace has both spans", func() bool {
		s.get("/api/v1/traces/"+found.Example.Trace, &trace)
		count := 0
		for _, resource := range trace.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				count += len(scope.Spans)
			}
		}
		return count == 2
	})
	named := map[string]string{}
	for _, resource := range trace.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				named[span.ID] = fmt.Sprint(span.Name, ": ", span.Status.Message)
			}
		}
	}
	if named[found.Example.Span] != "process mail: no customer 42" {
		t.Errorf("%v, %+v", named, found)
	}
	s.expect(1, "asynq_task_failures_total", `queue="mail"`, `task_type="invoice:print"`, `error_type="main.noSuchCustomer"`)
	s.expect(1, "asynq_tasks_dead_lettered_total", `queue="mail"`)
	worker.Process.Signal(syscall.SIGTERM)
	if err := worker.Wait(); err != nil {
		t.Error("the worker: ", err)
	}
}
