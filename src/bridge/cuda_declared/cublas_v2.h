// See cusparse.h.
#pragma once

typedef struct cublasContext* cublasHandle_t;
typedef enum {} cublasStatus_t;
