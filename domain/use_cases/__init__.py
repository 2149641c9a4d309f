"""All the business. A use case is called by a controller, a job or a command line, and alone decides what happens."""
