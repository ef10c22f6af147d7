// Package carrier has the form in which a task carries its trace and its times, in headers and in a JSON payload. It needs the
// standard library only.
package carrier

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// The names of the headers beside those of the propagator. The collector reads the same from Redis.
const (
	EnqueuedAt = "enqueued_at"
	ProcessAt  = "process_at"
)

// A Payload is what stands in a JSON payload, beside the task's own fields.
type Payload struct {
	Header     map[string]string `json:"header,omitempty"`      // traceparent, tracestate
	EnqueuedAt int64             `json:"enqueued_at,omitempty"` // Unix nanoseconds
	ProcessAt  int64             `json:"process_at,omitempty"`  // Unix seconds, as Asynq keeps it
}

// Carried is what a task brought with it. A time that it did not bring is 0.
type Carried struct {
	Header                map[string]string
	EnqueuedAt, ProcessAt int64
}

// Stamp sets the times in a task's headers. A task without a time to wait for has a zero due.
func Stamp(headers map[string]string, now, due time.Time) {
	headers[EnqueuedAt] = strconv.FormatInt(now.UnixNano(), 10)
	if !due.IsZero() {
		headers[ProcessAt] = strconv.FormatInt(due.Unix(), 10)
	}
}

// Read returns what the headers carry, or what the payload does if the headers have no stamp.
func Read(headers map[string]string, payload []byte) Carried {
	if _, stamped := headers[EnqueuedAt]; stamped {
		return Carried{headers, number(headers[EnqueuedAt]), number(headers[ProcessAt])}
	}
	// A look at the bytes spares large payloads the decoding.
	if !bytes.Contains(payload, []byte(`"enqueued_at"`)) {
		return Carried{Header: headers}
	}
	var found Payload
	if json.Unmarshal(payload, &found) != nil || found.EnqueuedAt <= 0 {
		return Carried{Header: headers} // A payload that only looks like ours.
	}
	return Carried{found.Header, found.EnqueuedAt, max(found.ProcessAt, 0)}
}

// number returns the positive number that the text is, or 0.
func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(value, 0)
}
