package capture

// Explain gives what the table has on a cause that somebody else has told of,
// in a line which may be empty: its class and the remedy, in our words. It is
// false for a cause that isn't in it.
func Explain(cause Cause, line string) (Message, bool) {
	var found *rule
	for i := range rules {
		r := &rules[i]
		if r.cause != cause {
			continue
		}
		if r.match.MatchString(line) {
			found = r
			break
		}
		if found == nil {
			found = r
		}
	}
	switch {
	case found != nil:
		return Message{Class: found.class, Cause: cause, Text: Mask(line), Remedy: found.remedy}, true
	case cause == Progress: // a bar, which no rule knows
		return Message{Class: Event, Cause: cause, Text: Mask(line)}, true
	default:
		return Message{}, false
	}
}
