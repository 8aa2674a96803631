package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/nsinspect/nsinspect/nsinspect/confine"
)

// output is where a command writes: stdout, or a file that appears under its
// name only when everything is in it.
type output struct {
	io.Writer
	file *confine.Output // nil for stdout
	name string
}

// newOutput opens the output before the work begins: a file that cannot be
// written costs nobody a scan, and a confined process could not open it.
func newOutput(name string, stdout io.Writer) (*output, error) {
	if name == "" {
		return &output{Writer: stdout}, nil
	}
	f, err := confine.CreateOutput(name)
	switch {
	case errors.Is(err, confine.ErrSymlink):
		return nil, fmt.Errorf("-o %s: %w; name the file itself, or leave -o out to write to stdout", name, confine.ErrSymlink)
	case err != nil:
		return nil, outputError(name, err)
	}
	return &output{Writer: f, file: f, name: name}, nil
}

func outputError(name string, err error) error {
	if errors.Is(err, syscall.ENXIO) {
		return fmt.Errorf("-o %s: nobody reads from it; start the reader first", name)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // its path is the temporary file's, which means nothing to the user
	}
	return fmt.Errorf("-o %s: %w; name a file in a directory that you may write to", name, err)
}

// commit gives the file its name.
func (o *output) commit() error {
	if o.file == nil {
		return nil
	}
	f := o.file
	o.file = nil
	if err := f.Commit(); err != nil {
		return outputError(o.name, err)
	}
	return nil
}

// discard removes what was not committed. There is an error to tell of already,
// and a temporary file that stays is the least of it.
func (o *output) discard() {
	if o.file != nil {
		_ = o.file.Discard()
	}
}
