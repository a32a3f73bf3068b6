#include <ctype.h>

int lower(int c)
{
    setlocale(LC_CTYPE, "");
    return tolower(c);
}
