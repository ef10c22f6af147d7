package transport

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestARequestGoesThroughTheSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) })}}
	server.Start()
	defer server.Close()
	answer, err := (&http.Client{Transport: New(Target{Socket: socket})}).Get("http://localhost/v1/traces")
	if err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
}

func TestARequestGoesToAnAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	answer, err := (&http.Client{Transport: New(Target{Address: server.Listener.Addr().String()})}).Get(server.URL)
	if err != nil || answer.StatusCode != http.StatusNotFound {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
}

func TestWhatFailsIsTemporaryAndKeepsItsCause(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "absent")
	_, err := (&http.Client{Transport: New(Target{Socket: socket})}).Get("http://localhost/")
	var temporary interface{ Temporary() bool }
	if !errors.As(err, &temporary) || !temporary.Temporary() {
		t.Errorf("%v is not temporary", err)
	}
	if !errors.Is(err, os.ErrNotExist) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v has lost its cause", err)
	}
}
