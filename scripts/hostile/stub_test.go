package hostile

func refuse(a, b string, c []string) error { return nil }
func storm() error                         { return nil }
func shift(a []string) error               { return nil }
func lockMemory(a string) error            { return nil }
