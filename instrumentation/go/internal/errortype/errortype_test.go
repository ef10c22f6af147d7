package errortype

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

type declined struct{}

func (declined) Error() string { return "declined" }

func TestOf(t *testing.T) {
	text := errors.New("no such user 42")
	for _, c := range []struct {
		err  error
		want string
	}{
		{text, "*errors.errorString"},
		{fmt.Errorf("mail: %w", text), "*fmt.wrapError"},
		{errors.Join(text, text), "*errors.joinError"},
		{declined{}, "errortype.declined"},
		{&declined{}, "*errortype.declined"},
		{fmt.Errorf("mail: %w", declined{}), "errortype.declined"},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", &fs.PathError{Err: text})), "*fs.PathError"},
		{fmt.Errorf("a: %w, b: %w", text, declined{}), "errortype.declined"},
		{errors.Join(text, fmt.Errorf("b: %w", declined{})), "errortype.declined"},
		{context.DeadlineExceeded, "context.deadlineExceededError"},
	} {
		if got := Of(c.err); got != c.want {
			t.Errorf("Of(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
