// libtorch's CUDAContextLight.h includes the headers of four libraries of CUDA for the names of what they hand out, of which
// nothing is used here. Those libraries take hundreds of megabytes, so their names are declared instead.
#pragma once

typedef struct cusparseContext* cusparseHandle_t;
typedef enum {} cusparseStatus_t;
