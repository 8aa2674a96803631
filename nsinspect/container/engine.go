package container

type EngineProcess struct{ Runtime, ID, Name, Bundle, Namespace string }

func Engine(comm, exe string, argv []string) (EngineProcess, bool) { return EngineProcess{}, false }
