/* Compresses rotated files (outputs/sink/rotate.h) in the background.
 *
 * A thread "compress" runs while there is something to compress: it writes NAME.….gz.part (or .zst.part), renames
 * that when it is complete and on disk, and removes the source. Everything rotated that is not compressed is
 * taken, the oldest first, so what an end of the process left over is done after the next start. A file that
 * another process is compressing is left to it. */
#ifndef XTCP_OUTPUTS_SINK_COMPRESS_H
#define XTCP_OUTPUTS_SINK_COMPRESS_H

#include "config/output.h"

struct compressor;

/* Makes one for the rotated files of the path |path|, which is copied. |how| is not OUTPUT_COMPRESS_NONE. Returns NULL
 * without memory. */
struct compressor *compressor_new(const char *path, enum output_compress how);

/* There may be something to compress. Does not wait. The owner's thread. */
void compressor_wake(struct compressor *c);

/* Ends it: a file that is under way stays as it was. Waits for 2 seconds at most; a thread that hangs in the file system
 * longer is left behind. NULL is allowed. The owner's thread. */
void compressor_free(struct compressor *c);

#endif
