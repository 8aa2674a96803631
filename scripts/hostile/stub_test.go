package hostile

func storm() error              { return nil }
func shift(a []string) error    { return nil }
func lockMemory(a string) error { return nil }
