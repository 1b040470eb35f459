package node

// ending has a node that was asked to end say so before it stops to listen, so
// that balancers send it nothing new while what it has is answered.
func ending(status func() Status, asked <-chan struct{}) func() Status {
	return func() Status {
		s := status()
		select {
		case <-asked:
			s.Ready, s.Why = false, "it is ending"
		default:
		}
		return s
	}
}
