package engines

import "slices"

// client is the command line of an engine like Docker's, with what leads it to our engine.
type client struct {
	*lab
	command []string
}

func (c client) try(args ...string) (string, error) {
	return c.lab.try(slices.Concat(c.command, args)...)
}

func (c client) must(args ...string) string {
	c.Helper()
	return c.lab.run(slices.Concat(c.command, args)...)
}

// start starts a container and returns its id.
func (c client) start(name string, flags ...string) string {
	c.Helper()
	return c.must(slices.Concat([]string{"run", "-d", "--net=none", "--name", name}, flags, []string{imageName}, payload)...)
}
