// Package fault holds every error code that Holdfast may send, each with its
// HTTP status and the side that AWS blames.
//
// The invariant: a code and its status are one value, written here and nowhere
// else, and what leaves the process is the code and the message, never the
// text of a wrapped cause.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The two sides that AWS's Type element names.
const (
	Sender   = "Sender"   // the request is at fault
	Receiver = "Receiver" // the service is at fault
)

// A Kind is one error code. Kinds are compared by value.
type Kind struct {
	Code   string // what the client sees, as in <Code>
	Status int    // HTTP status
	Fault  string // Sender or Receiver
}

// Error makes a Kind a target of errors.Is. Kinds are not returned as errors
// themselves: Errorf gives them a message.
func (k Kind) Error() string { return k.Code }

// Errorf returns an error of this kind. The format takes what fmt.Errorf
// takes. An error given with %w is kept as the cause, for errors.Is and for the
// log, and its text stays out of the message that the client reads; so %w
// belongs at the end. An error given with %v is part of the message.
func (k Kind) Errorf(format string, args ...any) *Error {
	full := fmt.Errorf(format, args...)
	// %.0s prints an error as nothing at all.
	public := fmt.Sprintf(strings.ReplaceAll(format, "%w", "%.0s"), args...)
	return &Error{Kind: k, Message: strings.TrimRight(public, ": "), full: full}
}

// An Error is one failure on its way to a client.
type Error struct {
	Kind    Kind
	Message string // for the client; holds no cause and no secret

	// RetryAfter, if not zero, is how long the client is asked to wait.
	RetryAfter time.Duration

	full error // the message with its causes; nil in an Error built by hand
}

// Error returns the code and the message with its causes, for the log.
func (e *Error) Error() string {
	if e.full == nil {
		return e.Kind.Code + ": " + e.Message
	}
	return e.Kind.Code + ": " + e.full.Error()
}

// Unwrap gives errors.Is and errors.As the causes.
func (e *Error) Unwrap() error { return e.full }

// Is reports whether the target is this error's kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// WithRetryAfter returns a copy that asks the client to wait for d.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	waiting := *e
	waiting.RetryAfter = d
	return &waiting
}

// From finds the Error in err's chain. Without one it returns false, and the
// caller answers InternalFailure.
func From(err error) (*Error, bool) {
	return errors.AsType[*Error](err)
}

// InJSON returns what AWS's JSON protocols send in place of a common error of
// the query protocol. A kind that has no other name there stays what it is.
func (k Kind) InJSON() Kind {
	switch k {
	case AccessDenied:
		return AccessDeniedException
	case ExpiredToken:
		return ExpiredTokenException
	case IncompleteSignature:
		return IncompleteSignatureException
	case InvalidAction, MissingAction:
		return UnknownOperationException
	case InvalidClientTokenId:
		return UnrecognizedClientException
	case MalformedInput:
		return SerializationException
	case MissingAuthenticationToken:
		return MissingAuthenticationTokenException
	case SignatureDoesNotMatch, RequestExpired:
		return InvalidSignatureException
	case Throttling:
		return ThrottlingException
	case ValidationError:
		return ValidationException
	default:
		return k
	}
}
