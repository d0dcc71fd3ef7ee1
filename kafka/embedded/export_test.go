package embedded

var Timestamp, Member = timestamp, member
