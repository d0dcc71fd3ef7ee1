package checkpoint

// ViewOn is View on another disk.
var ViewOn = viewOn
