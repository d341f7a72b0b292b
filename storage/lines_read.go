package storage

// LineOfEntry is the line that an entry of the history is. Only changes of lines have such (ChangeRecord.IsLines).
func LineOfEntry(e *Entry) (Line, error) { return lineOf(e) }
