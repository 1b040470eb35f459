package fault

// What AWS's JSON protocols call the common errors.
var (
	IncompleteSignatureException        = Kind{"IncompleteSignatureException", 400, Sender}
	InvalidSignatureException           = Kind{"InvalidSignatureException", 403, Sender}
	MissingAuthenticationTokenException = Kind{"MissingAuthenticationTokenException", 400, Sender}
	SerializationException              = Kind{"SerializationException", 400, Sender}
	ThrottlingException                 = Kind{"ThrottlingException", 400, Sender}
	UnknownOperationException           = Kind{"UnknownOperationException", 400, Sender}
	UnrecognizedClientException         = Kind{"UnrecognizedClientException", 400, Sender}
	ValidationException                 = Kind{"ValidationException", 400, Sender}
)

// AWS Organizations' codes, as its public API model (2016-11-28) gives them:
// the shape's name is the code; 400, or 500 where the service is at fault.
// Shapes whose code IAM or STS already has are not repeated.
var (
	AWSOrganizationsNotInUseException                = Kind{"AWSOrganizationsNotInUseException", 400, Sender}
	AccessDeniedException                            = Kind{"AccessDeniedException", 400, Sender}
	AccessDeniedForDependencyException               = Kind{"AccessDeniedForDependencyException", 400, Sender}
	AccountAlreadyClosedException                    = Kind{"AccountAlreadyClosedException", 400, Sender}
	AccountAlreadyRegisteredException                = Kind{"AccountAlreadyRegisteredException", 400, Sender}
	AccountNotFoundException                         = Kind{"AccountNotFoundException", 400, Sender}
	AccountNotRegisteredException                    = Kind{"AccountNotRegisteredException", 400, Sender}
	AccountOwnerNotVerifiedException                 = Kind{"AccountOwnerNotVerifiedException", 400, Sender}
	AlreadyInOrganizationException                   = Kind{"AlreadyInOrganizationException", 400, Sender}
	ChildNotFoundException                           = Kind{"ChildNotFoundException", 400, Sender}
	ConcurrentModificationException                  = Kind{"ConcurrentModificationException", 400, Sender}
	ConflictException                                = Kind{"ConflictException", 400, Sender}
	ConstraintViolationException                     = Kind{"ConstraintViolationException", 400, Sender}
	CreateAccountStatusNotFoundException             = Kind{"CreateAccountStatusNotFoundException", 400, Sender}
	DestinationParentNotFoundException               = Kind{"DestinationParentNotFoundException", 400, Sender}
	DuplicateAccountException                        = Kind{"DuplicateAccountException", 400, Sender}
	DuplicateHandshakeException                      = Kind{"DuplicateHandshakeException", 400, Sender}
	DuplicateOrganizationalUnitException             = Kind{"DuplicateOrganizationalUnitException", 400, Sender}
	DuplicatePolicyAttachmentException               = Kind{"DuplicatePolicyAttachmentException", 400, Sender}
	DuplicatePolicyException                         = Kind{"DuplicatePolicyException", 400, Sender}
	EffectivePolicyNotFoundException                 = Kind{"EffectivePolicyNotFoundException", 400, Sender}
	FinalizingOrganizationException                  = Kind{"FinalizingOrganizationException", 400, Sender}
	HandshakeAlreadyInStateException                 = Kind{"HandshakeAlreadyInStateException", 400, Sender}
	HandshakeConstraintViolationException            = Kind{"HandshakeConstraintViolationException", 400, Sender}
	HandshakeNotFoundException                       = Kind{"HandshakeNotFoundException", 400, Sender}
	InvalidHandshakeTransitionException              = Kind{"InvalidHandshakeTransitionException", 400, Sender}
	InvalidInputException                            = Kind{"InvalidInputException", 400, Sender}
	InvalidResponsibilityTransferTransitionException = Kind{"InvalidResponsibilityTransferTransitionException", 400, Sender}
	MalformedPolicyDocumentException                 = Kind{"MalformedPolicyDocumentException", 400, Sender}
	MasterCannotLeaveOrganizationException           = Kind{"MasterCannotLeaveOrganizationException", 400, Sender}
	OrganizationNotEmptyException                    = Kind{"OrganizationNotEmptyException", 400, Sender}
	OrganizationalUnitNotEmptyException              = Kind{"OrganizationalUnitNotEmptyException", 400, Sender}
	OrganizationalUnitNotFoundException              = Kind{"OrganizationalUnitNotFoundException", 400, Sender}
	ParentNotFoundException                          = Kind{"ParentNotFoundException", 400, Sender}
	PolicyChangesInProgressException                 = Kind{"PolicyChangesInProgressException", 400, Sender}
	PolicyInUseException                             = Kind{"PolicyInUseException", 400, Sender}
	PolicyNotAttachedException                       = Kind{"PolicyNotAttachedException", 400, Sender}
	PolicyNotFoundException                          = Kind{"PolicyNotFoundException", 400, Sender}
	PolicyTypeAlreadyEnabledException                = Kind{"PolicyTypeAlreadyEnabledException", 400, Sender}
	PolicyTypeNotAvailableForOrganizationException   = Kind{"PolicyTypeNotAvailableForOrganizationException", 400, Sender}
	PolicyTypeNotEnabledException                    = Kind{"PolicyTypeNotEnabledException", 400, Sender}
	ResourcePolicyNotFoundException                  = Kind{"ResourcePolicyNotFoundException", 400, Sender}
	ResponsibilityTransferAlreadyInStatusException   = Kind{"ResponsibilityTransferAlreadyInStatusException", 400, Sender}
	ResponsibilityTransferNotFoundException          = Kind{"ResponsibilityTransferNotFoundException", 400, Sender}
	RootNotFoundException                            = Kind{"RootNotFoundException", 400, Sender}
	ServiceException                                 = Kind{"ServiceException", 500, Receiver}
	SourceParentNotFoundException                    = Kind{"SourceParentNotFoundException", 400, Sender}
	TargetNotFoundException                          = Kind{"TargetNotFoundException", 400, Sender}
	TooManyRequestsException                         = Kind{"TooManyRequestsException", 400, Sender}
	UnsupportedAPIEndpointException                  = Kind{"UnsupportedAPIEndpointException", 400, Sender}
)
