package wire

import "github.com/holdfast-iam/holdfast/internal/fault"

// A Dialect is a way in which AWS services write errors. Its zero value is
// none and writes none; front picks one by what the request was.
type Dialect int

// The dialects.
const (
	_         Dialect = iota
	QueryXML          // IAM, STS and most services of the query protocol
	QueryJSON         // the same, for a client that accepts JSON
	JSON10            // X-Amz-Target with application/x-amz-json-1.0
	JSON11            // X-Amz-Target with application/x-amz-json-1.1
	RestXML           // S3
	EC2               // the ec2 variant of the query protocol
)

// ContentType returns the dialect's Content-Type.
func (d Dialect) ContentType() string {
	switch d {
	case QueryXML:
		return "text/xml"
	case EC2:
		return "text/xml;charset=UTF-8"
	case QueryJSON:
		return "application/json"
	case JSON10:
		return "application/x-amz-json-1.0"
	case JSON11:
		return "application/x-amz-json-1.1"
	case RestXML:
		return "application/xml"
	}
	return "text/plain; charset=utf-8"
}

// RequestIDHeader returns the header in which the dialect's clients look for
// the request id.
func (d Dialect) RequestIDHeader() string {
	if d == RestXML {
		return "x-amz-request-id"
	}
	return "x-amzn-RequestId"
}

// A Failure is an error document before it is written.
type Failure struct {
	Kind      fault.Kind
	Message   string // fault.Error's Message
	RequestID string
	Namespace string // QueryXML: the service's; "" leaves it out
	Resource  string // RestXML: the request's path
}

// Kind returns what the dialect's clients call a kind, and its status there.
func (d Dialect) Kind(k fault.Kind) fault.Kind {
	if d == JSON10 || d == JSON11 {
		return k.InJSON()
	}
	return k
}

// ErrorTypeHeader returns the value of the x-amzn-ErrorType header, "" for
// dialects that have none.
func (d Dialect) ErrorTypeHeader(k fault.Kind) string {
	if d == JSON10 || d == JSON11 {
		return k.InJSON().Code
	}
	return ""
}

// AppendError appends the error document. Nothing in the failure's texts can
// break out of its element or string.
func (d Dialect) AppendError(dst []byte, f Failure) []byte {
	switch d {
	case QueryXML:
		return appendQueryError(dst, f)
	case QueryJSON:
		return appendQueryJSONError(dst, f)
	case JSON10, JSON11:
		dst = append(dst, `{"__type":`...)
		dst = appendJSONText(dst, f.Kind.InJSON().Code)
		dst = append(dst, `,"message":`...)
		dst = appendJSONText(dst, f.Message)
		return append(dst, '}')
	case RestXML:
		return appendRestError(dst, f)
	case EC2:
		dst = append(dst, xmlHeader+"<Response><Errors><Error>"...)
		dst = appendElement(dst, "Code", f.Kind.Code)
		dst = appendElement(dst, "Message", f.Message)
		dst = append(dst, "</Error></Errors>"...)
		dst = appendElement(dst, "RequestID", f.RequestID)
		return append(dst, "</Response>"...)
	}
	return dst
}

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// appendQueryError: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#operation-error-serialization.
func appendQueryError(dst []byte, f Failure) []byte {
	dst = append(dst, "<ErrorResponse"...)
	if f.Namespace != "" {
		dst = append(dst, ` xmlns="`...)
		dst = appendXMLText(dst, f.Namespace)
		dst = append(dst, '"')
	}
	dst = append(dst, "><Error>"...)
	dst = appendElement(dst, "Type", f.Kind.Fault)
	dst = appendElement(dst, "Code", f.Kind.Code)
	dst = appendElement(dst, "Message", f.Message)
	dst = append(dst, "</Error>"...)
	dst = appendElement(dst, "RequestId", f.RequestID)
	return append(dst, "</ErrorResponse>"...)
}

func appendQueryJSONError(dst []byte, f Failure) []byte {
	dst = append(dst, `{"Error":{"Type":`...)
	dst = appendJSONText(dst, f.Kind.Fault)
	dst = append(dst, `,"Code":`...)
	dst = appendJSONText(dst, f.Kind.Code)
	dst = append(dst, `,"Message":`...)
	dst = appendJSONText(dst, f.Message)
	dst = append(dst, `},"RequestId":`...)
	dst = appendJSONText(dst, f.RequestID)
	return append(dst, '}')
}

// appendRestError: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
func appendRestError(dst []byte, f Failure) []byte {
	dst = append(dst, xmlHeader+"<Error>"...)
	dst = appendElement(dst, "Code", f.Kind.Code)
	dst = appendElement(dst, "Message", f.Message)
	if f.Resource != "" {
		dst = appendElement(dst, "Resource", f.Resource)
	}
	dst = appendElement(dst, "RequestId", f.RequestID)
	return append(dst, "</Error>"...)
}

func appendElement(dst []byte, name, text string) []byte {
	dst = append(dst, '<')
	dst = append(dst, name...)
	dst = append(dst, '>')
	dst = appendXMLText(dst, text)
	dst = append(dst, "</"...)
	dst = append(dst, name...)
	return append(dst, '>')
}
