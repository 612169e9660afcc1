// See cusparse.h.
#pragma once

typedef enum {} cusolverStatus_t;
