package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// output is where a command writes: stdout, or a file that appears under its
// name only when everything is in it.
type output struct {
	io.Writer
	temporary *os.File // nil for stdout
	name      string
}

// newOutput opens the output before the work begins, so that a file that cannot
// be written costs nobody a scan.
func newOutput(name string, stdout io.Writer) (*output, error) {
	if name == "" {
		return &output{Writer: stdout}, nil
	}
	switch info, err := os.Lstat(name); {
	case err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
		return nil, fmt.Errorf("-o %s: it exists and is not a regular file; name another one, or leave -o out to write to stdout", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, outputError(name, err)
	}
	dir, base := filepath.Split(name)
	if base == "" {
		return nil, fmt.Errorf("-o %s: it names a directory; name a file", name)
	}
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+base+".*")
	if err != nil {
		return nil, outputError(name, err)
	}
	return &output{Writer: f, temporary: f, name: name}, nil
}

func outputError(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // its path is the temporary file's, which means nothing to the user
	}
	return fmt.Errorf("-o %s: %w; name a file in a directory that you may write to", name, err)
}

// commit gives the file its name.
func (o *output) commit() error {
	if o.temporary == nil {
		return nil
	}
	f := o.temporary
	err := f.Sync()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), o.name)
	}
	if err != nil {
		return outputError(o.name, err)
	}
	o.temporary = nil
	return nil
}

// discard removes what was not committed.
func (o *output) discard() {
	if o.temporary != nil {
		o.temporary.Close()
		os.Remove(o.temporary.Name())
	}
}
