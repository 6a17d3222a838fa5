package question

import (
	"time"

	"catenary/internal/sensor"
)

// An Asking is a question with how it is to be asked.
type Asking struct {
	Question   Question
	Life       time.Duration // how long clients may answer, from now on
	ComputerID bool          // one row per machine
	UserID     int64
	// Groups knows the computer groups that the conditions name; nil: none.
	Groups Groups
	// Rights says which machines the user may ask at all; nil: every machine.
	Rights Condition
	// Context says which machines the question is about besides what its own
	// condition says; nil: every machine. ContextGroup is the number of the group
	// that they are; 0: of none.
	Context      Condition
	ContextGroup int64
	// Scope says which machines Rights are, for the question's record; empty: all.
	Scope string
	// Archive lets machines answer each for itself, so that the last answer of
	// each can be kept, though the asker sees them counted together.
	Archive bool
	// Priority is above others (1), or below (-1), where not all questions can be
	// sent at once.
	Priority int
	// Preview is a sensor that the question names and the catalogue has not; nil:
	// there is none.
	Preview *sensor.Sensor
	// Tracks is the number of the computer group whose machines the server asks for
	// by itself; 0: somebody wants the answer.
	Tracks int64
	// Name and Index are what the asker calls the question, and the place that he
	// gives it; Persona is as which he asks (0: as himself), and InWords reports
	// whether he does so by a text. They are for the question's record only.
	Name    string
	Index   int64
	Persona int64
	InWords bool
}
