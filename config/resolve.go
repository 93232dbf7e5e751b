package config

// Settings are a configuration and the places that follow from it in an
// environment.
type Settings struct {
	Config
	// File is the one that was read, empty if there is none.
	File string
	// Roots are absolute patterns; see Roots.
	Roots []string
	// LogDir and StateDir are empty where Homeless says why.
	LogDir, StateDir string
	// Homeless is why one of the two is unknown in this environment; in that of
	// the service it may be known.
	Homeless error
}

// Resolve reads the configuration, as it is opened by open: from file if that isn't
// empty, else from where Locate finds one, else the defaults. The error names file, line and
// key.
func Resolve(file string, getenv func(string) string, open Open) (Settings, error) {
	set := Settings{Config: Default()}
	path, found := Locate(file, getenv)
	var err error
	if found {
		set.File = path
		if set.Config, err = load(path, open); err != nil {
			return set, err
		}
	}
	if set.Roots, err = Roots(set.Config, getenv); err != nil {
		return set, err
	}
	if set.LogDir, err = LogDir(set.Config, getenv); err != nil {
		set.Homeless = err
	}
	if set.StateDir, err = StateDir(set.Config, getenv); err != nil {
		set.Homeless = err
	}
	return set, nil
}
