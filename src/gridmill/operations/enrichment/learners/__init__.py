"""Learners that fill cells from the dataset's own filled rows. They run in a worker process only: numpy and scikit-learn stay out of the API."""
