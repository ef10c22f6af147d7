// Package errortype names errors by their Go type. It needs the standard library only.
package errortype

import (
	"errors"
	"fmt"
)

// texts are the types that say nothing about what failed.
var texts = map[string]bool{
	fmt.Sprintf("%T", errors.New("")):                                     true,
	fmt.Sprintf("%T", fmt.Errorf("%w", errors.New(""))):                   true,
	fmt.Sprintf("%T", fmt.Errorf("%w%w", errors.New(""), errors.New(""))): true,
	fmt.Sprintf("%T", errors.Join(errors.New(""))):                        true,
}

// Of returns the first type of the chain that is more than a text or a wrapper, or the outermost type if there is none.
func Of(err error) string {
	if name := telling(err); name != "" {
		return name
	}
	return fmt.Sprintf("%T", err)
}

func telling(err error) string {
	if err == nil {
		return ""
	}
	if name := fmt.Sprintf("%T", err); !texts[name] {
		return name
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return telling(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, each := range wrapper.Unwrap() {
			if name := telling(each); name != "" {
				return name
			}
		}
	}
	return ""
}
