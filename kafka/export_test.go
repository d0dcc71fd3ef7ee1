package kafka

var FirstVisible = firstVisible
