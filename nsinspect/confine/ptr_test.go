package confine

import "unsafe"

func ptr[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
