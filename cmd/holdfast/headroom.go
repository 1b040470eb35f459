package main

import (
	"fmt"
	"io"
)

// full is how busy the rest of a Region may become when it loses a zone: above
// it requests begin to wait.
const full = 0.8

// printHeadroom says of each Region of several zones whether it can lose one:
// by the word of the node that sees it worst.
func printHeadroom(w io.Writer, all []nodeStatus) error {
	var order []string
	worst := map[string]*float64{} // nil: nobody would be left
	for i := range all {
		s := all[i].Status
		if s == nil || s.Role != "region" || len(s.Peers) == 0 {
			continue
		}
		old, seen := worst[s.Region]
		if !seen {
			order = append(order, s.Region)
		}
		if !seen || old != nil && (s.ZoneLoss == nil || *s.ZoneLoss > *old) {
			worst[s.Region] = s.ZoneLoss
		}
	}
	for _, region := range order {
		var err error
		switch left := worst[region]; {
		case left == nil:
			_, err = fmt.Fprintf(w, "%s cannot lose a zone: no other is ready\n", region)
		case *left > full:
			_, err = fmt.Fprintf(w, "%s cannot lose a zone: the others would be %.0f %% busy\n", region, 100**left)
		default:
			_, err = fmt.Fprintf(w, "%s can lose a zone: the others would be %.0f %% busy\n", region, 100**left)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
