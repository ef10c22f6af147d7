package carrier

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

var (
	now    = time.Unix(1_760_000_000, 123_456_789)
	due    = time.Unix(1_760_000_060, 500_000_000)
	header = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
)

func TestStampsAreReadAgain(t *testing.T) {
	headers := map[string]string{"traceparent": header["traceparent"]}
	Stamp(headers, now, time.Time{})
	if got := Read(headers, nil); got.EnqueuedAt != now.UnixNano() || got.ProcessAt != 0 {
		t.Errorf("at once: %+v", got)
	}
	Stamp(headers, now, due)
	if got := Read(headers, nil); got.EnqueuedAt != now.UnixNano() || got.ProcessAt != due.Unix() {
		t.Errorf("scheduled: %+v", got)
	}
}

func TestPayloads(t *testing.T) {
	type mail struct {
		Payload
		User int `json:"user"`
	}
	written, err := json.Marshal(mail{Payload{header, now.UnixNano(), due.Unix()}, 42})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		payload string
		want    Carried
	}{
		"ours":                 {string(written), Carried{header, now.UnixNano(), due.Unix()}},
		"without our fields":   {`{"user":42}`, Carried{}},
		"none":                 {``, Carried{}},
		"bytes":                {"\x00\xff\"enqueued_at\"", Carried{}},
		"a text as its stamp":  {`{"enqueued_at":"2026-01-01T00:00:00Z"}`, Carried{}},
		"another header":       {`{"enqueued_at":1760000000,"header":"Dear"}`, Carried{}},
		"a list":               {`["enqueued_at"]`, Carried{}},
		"negative":             {`{"enqueued_at":-1}`, Carried{}},
		"negative process_at":  {`{"enqueued_at":1,"process_at":-1}`, Carried{EnqueuedAt: 1}},
		"deeper in the object": {`{"task":{"enqueued_at":1}}`, Carried{}},
	} {
		if got := Read(nil, []byte(c.payload)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestHeadersThatAreNoNumbers(t *testing.T) {
	for _, text := range []string{"", "now", "1.5", "-3", "99999999999999999999"} {
		if got := Read(map[string]string{EnqueuedAt: text, ProcessAt: text}, nil); got.EnqueuedAt != 0 || got.ProcessAt != 0 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestHeadersWinOverThePayload(t *testing.T) {
	if got := Read(map[string]string{EnqueuedAt: "2"}, []byte(`{"enqueued_at":1}`)); got.EnqueuedAt != 2 {
		t.Errorf("%+v", got)
	}
	if got := Read(header, []byte(`{"user":42}`)); got.Header["traceparent"] == "" {
		t.Errorf("headers without a stamp: %+v", got)
	}
}
