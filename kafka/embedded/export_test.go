package embedded

// Timestamp is for tests.
var Timestamp = timestamp
