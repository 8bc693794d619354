"""What people say of the methods: the page on which they rate, and what their answers mean.

In:  renders of methods; later the files of answers that the page gives.
Out: a page that does not tell the methods, its key; strengths of the methods, agreement among the
     people, and of every metric with them.
"""
