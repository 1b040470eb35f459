package fault

// Codes that any AWS query API may answer with. IAM API Reference, "Common
// Errors"; the statuses are what IAM and STS send.
var (
	AccessDenied                = Kind{"AccessDenied", 403, Sender}
	AuthFailure                 = Kind{"AuthFailure", 401, Sender}
	ExpiredToken                = Kind{"ExpiredToken", 403, Sender}
	IncompleteSignature         = Kind{"IncompleteSignature", 400, Sender}
	InternalFailure             = Kind{"InternalFailure", 500, Receiver}
	InvalidAction               = Kind{"InvalidAction", 400, Sender}
	InvalidClientTokenId        = Kind{"InvalidClientTokenId", 403, Sender}
	InvalidParameterCombination = Kind{"InvalidParameterCombination", 400, Sender}
	InvalidParameterValue       = Kind{"InvalidParameterValue", 400, Sender}
	InvalidQueryParameter       = Kind{"InvalidQueryParameter", 400, Sender}
	MalformedInput              = Kind{"MalformedInput", 400, Sender}
	MalformedQueryString        = Kind{"MalformedQueryString", 404, Sender}
	MissingAction               = Kind{"MissingAction", 400, Sender}
	MissingAuthenticationToken  = Kind{"MissingAuthenticationToken", 403, Sender}
	MissingParameter            = Kind{"MissingParameter", 400, Sender}
	NotImplemented              = Kind{"NotImplemented", 501, Receiver}
	OptInRequired               = Kind{"OptInRequired", 403, Sender}
	RequestEntityTooLarge       = Kind{"RequestEntityTooLarge", 413, Sender}
	RequestExpired              = Kind{"RequestExpired", 400, Sender}
	ServiceUnavailable          = Kind{"ServiceUnavailable", 503, Receiver}
	SignatureDoesNotMatch       = Kind{"SignatureDoesNotMatch", 403, Sender}
	Throttling                  = Kind{"Throttling", 400, Sender}
	ValidationError             = Kind{"ValidationError", 400, Sender}
)

// IAM's codes, as its public API model (2010-05-08) gives them. The five whose
// code ends in Exception have no `error` member there: the shape's name is the
// code.
var (
	AccountNotManagementOrDelegatedAdministratorException = Kind{"AccountNotManagementOrDelegatedAdministratorException", 400, Sender}
	CallerIsNotManagementAccountException                 = Kind{"CallerIsNotManagementAccountException", 400, Sender}
	ConcurrentModification                                = Kind{"ConcurrentModification", 409, Sender}
	DeleteConflict                                        = Kind{"DeleteConflict", 409, Sender}
	DuplicateCertificate                                  = Kind{"DuplicateCertificate", 409, Sender}
	DuplicateSSHPublicKey                                 = Kind{"DuplicateSSHPublicKey", 400, Sender}
	EntityAlreadyExists                                   = Kind{"EntityAlreadyExists", 409, Sender}
	EntityTemporarilyUnmodifiable                         = Kind{"EntityTemporarilyUnmodifiable", 409, Sender}
	FeatureDisabled                                       = Kind{"FeatureDisabled", 404, Sender}
	FeatureEnabled                                        = Kind{"FeatureEnabled", 409, Sender}
	InvalidAuthenticationCode                             = Kind{"InvalidAuthenticationCode", 403, Sender}
	InvalidCertificate                                    = Kind{"InvalidCertificate", 400, Sender}
	InvalidInput                                          = Kind{"InvalidInput", 400, Sender}
	InvalidPublicKey                                      = Kind{"InvalidPublicKey", 400, Sender}
	InvalidUserType                                       = Kind{"InvalidUserType", 400, Sender}
	KeyPairMismatch                                       = Kind{"KeyPairMismatch", 400, Sender}
	LimitExceeded                                         = Kind{"LimitExceeded", 409, Sender}
	MalformedCertificate                                  = Kind{"MalformedCertificate", 400, Sender}
	MalformedPolicyDocument                               = Kind{"MalformedPolicyDocument", 400, Sender}
	NoSuchEntity                                          = Kind{"NoSuchEntity", 404, Sender}
	NotSupportedService                                   = Kind{"NotSupportedService", 404, Sender}
	OpenIdIdpCommunicationError                           = Kind{"OpenIdIdpCommunicationError", 400, Sender}
	OrganizationNotFoundException                         = Kind{"OrganizationNotFoundException", 400, Sender}
	OrganizationNotInAllFeaturesModeException             = Kind{"OrganizationNotInAllFeaturesModeException", 400, Sender}
	PasswordPolicyViolation                               = Kind{"PasswordPolicyViolation", 400, Sender}
	PolicyEvaluation                                      = Kind{"PolicyEvaluation", 500, Receiver}
	PolicyNotAttachable                                   = Kind{"PolicyNotAttachable", 400, Sender}
	ReportExpired                                         = Kind{"ReportExpired", 410, Sender}
	ReportGenerationLimitExceeded                         = Kind{"ReportGenerationLimitExceeded", 409, Sender}
	ReportInProgress                                      = Kind{"ReportInProgress", 404, Sender}
	ReportNotPresent                                      = Kind{"ReportNotPresent", 410, Sender}
	ServiceAccessNotEnabledException                      = Kind{"ServiceAccessNotEnabledException", 400, Sender}
	ServiceFailure                                        = Kind{"ServiceFailure", 500, Receiver}
	UnmodifiableEntity                                    = Kind{"UnmodifiableEntity", 400, Sender}
	UnrecognizedPublicKeyEncoding                         = Kind{"UnrecognizedPublicKeyEncoding", 400, Sender}
)

// STS's codes, as its public API model (2011-06-15) gives them.
// MalformedPolicyDocument is shared with IAM. ExpiredTokenException speaks of
// a web identity token; ExpiredToken, above, of the credentials that signed
// the request.
var (
	ExpiredTokenException                          = Kind{"ExpiredTokenException", 400, Sender}
	ExpiredTradeInTokenException                   = Kind{"ExpiredTradeInTokenException", 400, Sender}
	IDPCommunicationError                          = Kind{"IDPCommunicationError", 400, Sender}
	IDPRejectedClaim                               = Kind{"IDPRejectedClaim", 403, Sender}
	InvalidAuthorizationMessageException           = Kind{"InvalidAuthorizationMessageException", 400, Sender}
	InvalidIdentityToken                           = Kind{"InvalidIdentityToken", 400, Sender}
	JWTPayloadSizeExceededException                = Kind{"JWTPayloadSizeExceededException", 400, Sender}
	OutboundWebIdentityFederationDisabledException = Kind{"OutboundWebIdentityFederationDisabledException", 403, Sender}
	PackedPolicyTooLarge                           = Kind{"PackedPolicyTooLarge", 400, Sender}
	RegionDisabledException                        = Kind{"RegionDisabledException", 403, Sender}
	SessionDurationEscalationException             = Kind{"SessionDurationEscalationException", 403, Sender}
)
